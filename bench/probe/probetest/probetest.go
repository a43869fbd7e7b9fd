// Package probetest is the suite that every Sampler must pass.
package probetest

import (
	"testing"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
)

// Run holds a sampler to the suite; open gives a fresh one, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) probe.Sampler) {
	t.Run("describes its part only", func(t *testing.T) {
		s := opened(t, open)
		if s.Name() == "" {
			t.Error("the sampler has no name")
		}
		// What a source doesn't know belongs to another one.
		kept := map[string]string{"another source": "kept"}
		env := result.Environment{Software: kept}
		if err := s.Describe(t.Context(), &env); err != nil {
			t.Fatal(err)
		}
		if env.Software["another source"] != "kept" {
			t.Errorf("software is %v: another source's entry is gone", env.Software)
		}
		first := env
		if err := s.Describe(t.Context(), &env); err != nil {
			t.Fatal(err)
		}
		if len(env.GPUs) != len(first.GPUs) || env.Hardware != first.Hardware || env.MachineID != first.MachineID {
			t.Errorf("described twice: %+v, then %+v", first, env)
		}
	})
	t.Run("readings follow time", func(t *testing.T) {
		s := opened(t, open)
		before := time.Now()
		var last probe.Reading
		for i := range 3 {
			r, err := s.Sample(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.At.Before(before) || r.At.Before(last.At) || r.At.After(time.Now()) {
				t.Errorf("reading %d is from %v, before %v", i, r.At, last.At)
			}
			if r.CPU == nil && len(r.GPUs) == 0 {
				t.Errorf("reading %d says nothing", i)
			}
			if c, l := r.CPU, last.CPU; c != nil && l != nil && (c.Total < l.Total || c.Steal < l.Steal) {
				t.Errorf("CPU time went back from %+v to %+v", *l, *c)
			}
			for _, g := range r.GPUs {
				if g.UUID == "" {
					t.Errorf("reading %d has a GPU without UUID", i)
				}
				if u := g.Utilisation; u != nil && (*u < 0 || *u > 1) {
					t.Errorf("utilisation %v, want a share", *u)
				}
			}
			last = r
		}
	})
}

func opened(t *testing.T, open func(t *testing.T) probe.Sampler) probe.Sampler {
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
