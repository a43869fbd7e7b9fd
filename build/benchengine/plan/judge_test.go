package plan

import (
	"math"
	"strings"
	"testing"
)

// trial makes a row of one target, with our values and a peer's of each round.
type trial struct {
	kind   Kind
	target Target
	ours   []float64
	peer   []float64
	extra  func(*Sample) // for our samples
}

func (c trial) judge() Outcome {
	ours, peer := Task{Program: Engine, Kind: c.kind}, Task{Program: LlamaCpp, Kind: c.kind}
	r := Row{ID: "r", Ours: ours, Targets: []Target{c.target}}
	if c.target.Check == Ratio {
		r.Targets[0].Peer = &peer
	}
	var samples []Sample
	for i, v := range c.ours {
		s := Sample{Row: "r", Round: i + 1, Task: ours, Value: v}
		if c.extra != nil {
			c.extra(&s)
		}
		samples = append(samples, s, Sample{Row: "another", Round: i + 1, Task: ours, Value: 1e9})
	}
	for i, v := range c.peer {
		samples = append(samples, Sample{Row: "r", Round: i + 1, Task: peer, Value: v})
	}
	return Judge(r, samples)[0]
}

func same(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestJudge(t *testing.T) {
	wide := []float64{90, 95, 96, 104, 105, 106, 107, 108, 120} // median 105, interval 95 to 108
	for _, c := range []struct {
		name    string
		trial   trial
		verdict Verdict
		figure  float64
	}{
		{"ahead", trial{kind: Decode, target: Target{Check: Ratio, Want: 1.2}, ours: same(130, 9), peer: same(100, 9)}, Yes, 1.3},
		{"behind", trial{kind: Decode, target: Target{Check: Ratio, Want: 1.2}, ours: same(110, 9), peer: same(100, 9)}, No, 1.1},
		{"exactly", trial{kind: Decode, target: Target{Check: Ratio, Want: 1.25}, ours: same(125, 9), peer: same(100, 9)}, Yes, 1.25},
		{"ahead by the median only", trial{kind: Decode, target: Target{Check: Ratio, Want: 1}, ours: wide, peer: same(100, 9)}, YesClose, 1.05},
		{"behind by the median only", trial{kind: Decode, target: Target{Check: Ratio, Want: 1.06}, ours: wide, peer: same(100, 9)}, NoClose, 1.05},
		{"the lower bound is too low", trial{kind: Decode, target: Target{Check: Ratio, Want: 1, Lower: 0.97}, ours: wide, peer: same(100, 9)}, NoClose, 1.05},
		{"the lower bound is high enough", trial{kind: Decode, target: Target{Check: Ratio, Want: 1, Lower: 0.94}, ours: wide, peer: same(100, 9)}, YesClose, 1.05},
		{"two rounds have no interval but a range", trial{kind: Decode, target: Target{Check: Ratio, Want: 1}, ours: []float64{90, 130}, peer: same(100, 2)}, YesClose, 1.1},
		{"sooner is ahead", trial{kind: TTFT, target: Target{Check: Ratio, Want: 1.3}, ours: same(10, 9), peer: same(14, 9)}, Yes, 1.4},
		{"later is behind", trial{kind: TTFT, target: Target{Check: Ratio, Want: 1.3}, ours: same(14, 9), peer: same(10, 9)}, No, 10.0 / 14},
		{"only rounds of both count", trial{kind: Decode, target: Target{Check: Ratio, Want: 1}, ours: []float64{100, 1, 1}, peer: same(50, 1)}, Yes, 2},
		{"an absolute rate", trial{kind: Prefill, target: Target{Check: AtLeast, Want: 200}, ours: same(201, 3)}, Yes, 201},
		{"an absolute time", trial{kind: Start, target: Target{Check: AtMost, Want: 1.5}, ours: []float64{1.4, 1.4, 1.6}}, YesClose, 1.4},
		{"too late", trial{kind: Start, target: Target{Check: AtMost, Want: 1.5}, ours: same(2, 3)}, No, 2},
		{"a share of the probe", trial{kind: Decode, target: Target{Check: Share, Want: 0.88}, ours: same(30, 9), extra: func(s *Sample) { s.ProbeGBs, s.BytesPerToken = 32, 988e6 }}, Yes, 0.92625},
		{"memory beyond need", trial{kind: Memory, target: Target{Check: Needed, Want: 1.15}, ours: same(1200, 9), extra: func(s *Sample) { s.NeededBytes = 1e9 }}, No, 1.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.trial.judge()
			if o.Verdict != c.verdict || math.Abs(o.Figure.Median-c.figure) > 1e-12 {
				t.Errorf("verdict %q with %v, want %q with %v", o.Verdict, o.Figure.Median, c.verdict, c.figure)
			}
		})
	}
}

func TestWhatIsMissingIsNotMeasured(t *testing.T) {
	share := Target{Check: Share, Want: 0.5}
	for name, c := range map[string]trial{
		"no samples":                       {kind: Decode, target: share},
		"no peer":                          {kind: Decode, target: Target{Check: Ratio, Want: 1}, ours: same(1, 9)},
		"a peer of zero":                   {kind: Decode, target: Target{Check: Ratio, Want: 1}, ours: same(1, 9), peer: same(0, 9)},
		"no bytes":                         {kind: Decode, target: share, ours: same(1, 9), extra: func(s *Sample) { s.ProbeGBs = 30 }},
		"no probe":                         {kind: Decode, target: share, ours: same(1, 9), extra: func(s *Sample) { s.BytesPerToken = 1 }},
		"memory without what is needed":    {kind: Memory, target: Target{Check: Needed, Want: 1}, ours: same(1, 9)},
		"a failed sample, which counts no": {kind: Decode, target: Target{Check: AtLeast, Want: 1}, ours: same(5, 1), extra: func(s *Sample) { s.Error = "it burns" }},
	} {
		o := c.judge()
		if o.Verdict != NotMeasured || o.Why == "" {
			t.Errorf("%s: verdict %q because %q", name, o.Verdict, o.Why)
		}
		if name == "a failed sample, which counts no" && !strings.Contains(o.Why, "it burns") {
			t.Errorf("the reason %q doesn't name the failure", o.Why)
		}
	}
}
