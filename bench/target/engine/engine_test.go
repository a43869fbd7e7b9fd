//go:build native

package engine

import (
	"testing"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/targettest"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model"
)

func tinyModel(t *testing.T) string {
	dir := t.TempDir() + "/tiny"
	if err := model.Synth(t.Context(), "tiny", dir, model.SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestConformance(t *testing.T) {
	dir := tinyModel(t)
	for _, backend := range []string{"ref", "cpu"} {
		t.Run(backend, func(t *testing.T) {
			targettest.Run(t, targettest.Config{
				Text: "Write a short story about a robot.",
				Open: func(t *testing.T) target.Target {
					tg, err := Open(t.Context(), engine.Options{ModelDir: dir, Backend: backend})
					if err != nil {
						t.Fatal(err)
					}
					return tg
				},
			})
		})
	}
}

func TestVerifyFindsWrongTokens(t *testing.T) {
	dir := tinyModel(t)
	for _, c := range []struct {
		name   string
		faults []engine.Fault
		wrong  bool
	}{
		{"correct engine", nil, false},
		{"every token wrong", []engine.Fault{{Kind: engine.FaultWrongToken, Factor: 1}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tg, err := Open(t.Context(), engine.Options{ModelDir: dir, Faults: c.faults})
			if err != nil {
				t.Fatal(err)
			}
			defer tg.Close()
			for _, temperature := range []float64{0, 0.7} {
				r := target.Request{API: "completion", Text: "Once upon a time", MaxTokens: 12, IgnoreEOS: true, Temperature: temperature, TopP: 0.9, Seed: 5}
				reply, err := tg.Do(t.Context(), r, func(target.Event) {})
				if err != nil {
					t.Fatal(err)
				}
				for n := range reply.IDs {
					same, err := tg.Verify(t.Context(), r, reply.IDs, n)
					if err != nil {
						t.Fatal(err)
					}
					if same == c.wrong {
						t.Errorf("temperature %v, token %d: verified %v, want %v", temperature, n, same, !c.wrong)
					}
				}
			}
		})
	}
}
