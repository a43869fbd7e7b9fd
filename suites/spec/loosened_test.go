package spec

import (
	"reflect"
	"slices"
	"testing"
)

func TestLoosened(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Suite)
		want   []string
	}{
		{"unchanged", func(*Suite) {}, nil},
		{"tighter", func(s *Suite) { *s.Workloads[0].Gates[0].MaxDrop = 0.1; *s.Workloads[0].Gates[4].Max = 0 }, nil},
		{"a wider drop", func(s *Suite) { *s.Workloads[0].Gates[0].MaxDrop = 0.5 }, []string{"workload scaling, gate on output_rate: max_drop was 0.2, now 0.5"}},
		{"a lower floor", func(s *Suite) { *s.Workloads[0].Gates[3].Min = 0.9 }, []string{"workload scaling, gate on token_agreement: min was 1, now 0.9"}},
		{"a lower severity", func(s *Suite) { s.Workloads[0].Gates[3].Severity = Investigate }, []string{"workload scaling, gate on token_agreement: severity was critical, now investigate"}},
		{"a gate less", func(s *Suite) { s.Workloads[0].Gates = s.Workloads[0].Gates[:4] }, []string{"workload scaling, gate on error_rate: max 0.01 is gone"}},
		{"a workload less", func(s *Suite) { s.Workloads = s.Workloads[1:] }, []string{"workload scaling is gone, with 5 gates"}},
		{"workloads less, all but one without gates", func(s *Suite) { s.Workloads = s.Workloads[:1] }, []string{"workload fitted is gone, with 2 gates"}},
		{"another limit instead", func(s *Suite) {
			g := &s.Workloads[0].Gates[1]
			g.MaxRise, g.MaxRatio = nil, g.MaxRise
		}, []string{"workload scaling, gate on ttft.p90: max_rise 0.25 is gone"}},
	} {
		head := full(t)
		c.change(head)
		if got := Loosened(full(t), head); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJudged(t *testing.T) {
	base, head := full(t), full(t)
	head.Workloads[0].Request.MaxTokens++
	*head.Workloads[0].Gates[0].MaxDrop = 0.5             // loosened
	head.Workloads[0].Gates[3].Severity = Investigate     // loosened
	head.Workloads[0].Gates = head.Workloads[0].Gates[:4] // one less
	*head.Workloads[0].Gates[1].MaxRise = 0.01            // tightened
	floor := 1.0                                          // and one more
	more := Gate{Metric: "output_rate", Severity: Fail, Min: &floor}
	head.Workloads[0].Gates = append(head.Workloads[0].Gates, more)
	extra := head.Workloads[0]
	extra.Name = "new"
	head.Workloads = append(head.Workloads, extra)

	got := Judged(base, head)
	if w := got.Workloads[0]; w.Request.MaxTokens != head.Workloads[0].Request.MaxTokens || !reflect.DeepEqual(w.Gates, append(slices.Clone(base.Workloads[0].Gates), more)) {
		t.Errorf("judged by %+v", w.Gates)
	}
	if w := got.Workloads[len(got.Workloads)-1]; !reflect.DeepEqual(w.Gates, extra.Gates) {
		t.Errorf("a new workload is judged by %+v", w.Gates)
	}
	if *head.Workloads[0].Gates[0].MaxDrop != 0.5 || len(head.Workloads[0].Gates) != 5 {
		t.Error("head was changed")
	}
}
