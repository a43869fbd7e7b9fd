package agent

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/internal/wire"
)

func TestSpoolSurvivesReopening(t *testing.T) {
	root := t.TempDir()
	s, err := newSpool(root, testOrder())
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{wire.StreamRounds, wire.StreamSamples, wire.StreamRounds} {
		if err := s.add(stream, []json.RawMessage{[]byte(`{"x":1}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.acknowledge(wire.StreamRounds, 1); err != nil {
		t.Fatal(err)
	}
	want := s.end(wire.OutcomeDone, nil)

	found, problems := openSpools(root)
	if len(found) != 1 || len(problems) != 0 {
		t.Fatalf("found %d, problems %v", len(found), problems)
	}
	got := found[0].end(wire.OutcomeDone, nil)
	if got.Digest != want.Digest || len(got.Counts) != 2 || got.Counts[wire.StreamRounds] != 2 {
		t.Errorf("end %+v, want %+v", got, want)
	}
	var seen []string
	for {
		b, err := found[0].next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		seen = append(seen, b.Stream)
		if err := found[0].acknowledge(b.Stream, b.Seq); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(seen, " ") != "rounds samples" {
		t.Errorf("delivered %v: what was acknowledged came again, or something is lost", seen)
	}
}

func TestSpoolSplitsLargeBatches(t *testing.T) {
	s, err := newSpool(t.TempDir(), testOrder())
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var records []json.RawMessage
	for range 500 {
		noise := make([]byte, 1500)
		for i := range noise {
			noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[rng.IntN(62)]
		}
		records = append(records, append(append([]byte{'"'}, noise...), '"'))
	}
	if err := s.add(wire.StreamSamples, records); err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		b, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			break
		}
		if len(b.Body) > wire.MaxBatchBytes {
			t.Errorf("batch %d has %d bytes", b.Seq, len(b.Body))
		}
		total += b.Records
		if err := s.acknowledge(b.Stream, b.Seq); err != nil {
			t.Fatal(err)
		}
	}
	if total != len(records) {
		t.Errorf("%d records came out, %d went in", total, len(records))
	}
}

func TestSpoolSeesDamage(t *testing.T) {
	for _, tc := range []struct{ name, want string }{{"flipped byte", "not what was written"}, {"missing batch", "follows"}} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir()
			s, err := newSpool(root, testOrder())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.add(wire.StreamRounds, []json.RawMessage{[]byte(`{}`)}); err != nil {
					t.Fatal(err)
				}
			}
			first := filepath.Join(root, "at1", "rounds-00000001.batch")
			if tc.name == "missing batch" {
				err = os.Remove(first)
			} else {
				b, rerr := os.ReadFile(first)
				if rerr != nil {
					t.Fatal(rerr)
				}
				b[len(b)-1] ^= 1
				err = os.WriteFile(first, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, problems := openSpools(root); len(problems) != 1 || !strings.Contains(problems[0].Error(), tc.want) {
				t.Errorf("problems %v, want one with %q", problems, tc.want)
			}
		})
	}
}
