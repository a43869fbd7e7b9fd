package probe

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
)

type source struct {
	name string
	err  error
}

func (s source) Name() string                          { return s.name }
func (source) Sample(context.Context) (Reading, error) { return Reading{}, nil }
func (source) Close() error                            { return nil }
func (s source) Describe(_ context.Context, env *result.Environment) error {
	if s.err == nil {
		env.Host = s.name
	}
	return s.err
}

func TestFingerprintKeepsWhatIsKnown(t *testing.T) {
	lost := errors.New("gpu is lost")
	env, err := Fingerprint(t.Context(), []Sampler{source{name: "a"}, source{name: "b", err: lost}, source{name: "c", err: ErrAbsent}})
	if env.Host != "a" {
		t.Errorf("host %q, want what the first source knew", env.Host)
	}
	if !errors.Is(err, lost) || !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "by b:") {
		t.Errorf("error %v, want both sources named", err)
	}
}

func TestStealShare(t *testing.T) {
	for _, c := range []struct {
		name           string
		earlier, later CPUTimes
		want           float64
		ok             bool
	}{
		{"a tenth", CPUTimes{Total: 100, Steal: 5}, CPUTimes{Total: 200, Steal: 15}, 0.1, true},
		{"no time passed", CPUTimes{Total: 100}, CPUTimes{Total: 100}, 0, false},
		{"counters went back", CPUTimes{Total: 100, Steal: 9}, CPUTimes{Total: 200, Steal: 8}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := c.later.StealShare(c.earlier); got != c.want || ok != c.ok {
				t.Errorf("%v, %v; want %v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}
