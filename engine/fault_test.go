package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/engine/backend"
)

func TestParseFault(t *testing.T) {
	for _, c := range []struct {
		text string
		want Fault
		err  string // part of the error
	}{
		{text: "slow=1.43", want: Fault{Kind: "slow", Factor: 1.43}},
		{text: "stall=0.5/100", want: Fault{Kind: "stall", Factor: 0.5, Every: 100}},
		{text: "wrong-token=0.01", want: Fault{Kind: "wrong-token", Factor: 0.01}},
		{text: "leak=65536", want: Fault{Kind: "leak", Factor: 65536}},
		{text: "slow", err: "such as slow=1.43"},
		{text: "slow=", err: "no number"},
		{text: "slow=fast", err: `"fast" is no number`},
		{text: "slow=0.5", err: "factor from 1"},
		{text: "slow=NaN", err: "factor from 1"},
		{text: "stall=1", err: "stall=SECONDS/STEPS"},
		{text: "stall=1/x", err: `"x" is no whole number`},
		{text: "stall=1/0", err: "at least 1 step"},
		{text: "stall=-1/5", err: "seconds"},
		{text: "wrong-token=2", err: "0 to 1"},
		{text: "leak=1.5", err: "whole number"},
		{text: "leak=Inf", err: "whole number"},
		{text: "lag=1", err: `unknown kind "lag"`},
		{text: "", err: "kind=value"},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := ParseFault(c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
			if got.String() != c.text {
				t.Errorf("written as %q, want %q", got, c.text)
			}
		})
	}
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"slow=1.43", "stall=0.5/100", "wrong-token=1e-3", "leak=1", "=", "stall=/", "slow=0x1p3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseFault(text)
		if err != nil {
			return
		}
		again, err := ParseFault(got.String())
		if err != nil || again != got {
			t.Errorf("%q gives %+v, which is written as %q and read as %+v, %v", text, got, got, again, err)
		}
	})
}

func mustFaults(t *testing.T, list ...Fault) *faults {
	t.Helper()
	f, err := newFaults(list)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// timed leaves whole waits to timers, because a fake clock stands still while code runs.
func timed(t *testing.T, list ...Fault) *faults {
	t.Helper()
	f := mustFaults(t, list...)
	f.spin = 0
	return f
}

func TestSlowAndStallWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := timed(t, Fault{Kind: "slow", Factor: 1.43}, Fault{Kind: "stall", Factor: 2, Every: 3})
		began := time.Now()
		for range 6 {
			f.stepped(100 * time.Millisecond)
		}
		// Six steps of 43 ms more, and two stalls of 2 s.
		if got, want := time.Since(began), 4*time.Second+258*time.Millisecond; (got - want).Abs() > time.Microsecond {
			t.Errorf("waited %v, want %v", got, want)
		}
	})
}

func TestCloseEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := timed(t, Fault{Kind: "stall", Factor: 3600, Every: 1})
		began := time.Now()
		time.AfterFunc(time.Second, f.close)
		f.stepped(0)
		if got := time.Since(began); got != time.Second {
			t.Errorf("waited %v, want 1 s", got)
		}
	})
}

// TestWaitsAreExact on the real clock: never shorter, and short ones end without a timer.
func TestWaitsAreExact(t *testing.T) {
	f := mustFaults(t, Fault{Kind: "slow", Factor: 2})
	for _, took := range []time.Duration{20 * time.Microsecond, time.Millisecond, 4 * time.Millisecond} {
		began := time.Now()
		f.stepped(took)
		if got := time.Since(began); got < took {
			t.Errorf("waited %v after a step of %v at factor 2", got, took)
		}
	}
}

func TestWrongTokens(t *testing.T) {
	f := mustFaults(t, Fault{Kind: "wrong-token", Factor: 0.25})
	f.vocab = 10
	wrong := 0
	for p := range uint64(10_000) {
		switch f.token(9, backend.Sampling{Seed: 3, Position: p}) {
		case 9:
		case 0:
			wrong++
		default:
			t.Fatal("a token that is neither the drawn one nor the next")
		}
	}
	if wrong < 2300 || wrong > 2700 {
		t.Errorf("%d of 10,000 tokens wrong, want about 2,500", wrong)
	}
}

func TestLeakGrows(t *testing.T) {
	f := mustFaults(t, Fault{Kind: "leak", Factor: 5000}, Fault{Kind: "leak", Factor: 1000})
	for range 3 {
		f.leak()
	}
	if got := f.leakedBytes(); got != 18_000 {
		t.Errorf("%d bytes leaked, want 18,000", got)
	}
	if _, err := newFaults([]Fault{{Kind: "slow", Factor: 0}}); err == nil {
		t.Error("a fault that isn't valid: no error")
	}
	stall := Fault{Kind: "stall", Factor: 1, Every: 1}
	if _, err := newFaults([]Fault{stall, stall}); err == nil {
		t.Error("two stalls: no error")
	}
}
