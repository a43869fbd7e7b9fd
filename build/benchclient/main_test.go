package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain is the program itself where a test starts it anew.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-mode" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTurns lets both clients, each a process of its own, work on a real server: they count what it counts, and neither can
// see a first token before it was written.
func TestTurns(t *testing.T) {
	r := row{name: "test", slots: 2, requests: 8, first: 8 * time.Millisecond, gap: 2 * time.Millisecond}
	samples, err := turns(t.Context(), r, 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, s := range samples {
		order = append(order, s.Client)
		if s.Said.Requests < r.requests || s.Sent < s.Said.Requests || s.True.Requests != s.Said.Requests {
			t.Errorf("%s says %d requests of %d, the server %d", s.Client, s.Said.Requests, s.Sent, s.True.Requests)
		}
		if s.True.TTFTms < 8 || s.Said.TTFTms < s.True.TTFTms || s.True.TPOTms < 1.9 || s.Said.CPUms <= 0 || s.Said.PeakMiB < 1 {
			t.Errorf("%+v", s)
		}
	}
	if got := strings.Join(order, " "); got != "ours control control ours" {
		t.Errorf("turns: %s", got)
	}
	var out bytes.Buffer
	if err := table(&out, []row{r}, samples); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"TTFT ms over the truth", "concurrency kept %", "ours − control"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("the table lacks %q:\n%s", words, out.String())
		}
	}
}
