package seriestest

import (
	"encoding/json"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// batch makes the message in which an agent delivers a round.
func batch(t *testing.T, attempt string, r result.Round) wire.BatchRequest {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := wire.EncodeBody([]json.RawMessage{b})
	if err != nil {
		t.Fatal(err)
	}
	return wire.BatchRequest{Attempt: attempt, Stream: wire.StreamRounds, Seq: 1, Records: 1, Body: body}
}
