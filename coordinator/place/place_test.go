package place

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/coordinator/ledger"
)

func TestNext(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	idle := ledger.Agent{ID: "a1", Name: "alpha", State: ledger.AgentIdle, Labels: map[string]string{"gpu": "h200"}}
	with := func(s ledger.AgentState, reason string) ledger.Agent {
		a := idle
		a.State, a.Reason = s, reason
		return a
	}
	calling := idle
	calling.Caller = true
	cpu := ledger.Attempt{ID: "x", Device: KindCPU, Devices: 1}
	for _, c := range []struct {
		name  string
		queue []ledger.Attempt
		agent ledger.Agent
		free  []string
		want  Choice
		why   string // part of it
	}{
		{"nothing", nil, idle, []string{CPU}, Choice{Index: -1}, "empty"},
		{"the first", []ledger.Attempt{cpu, cpu}, idle, []string{CPU}, Choice{0, []string{CPU}}, ""},
		{"busy", []ledger.Attempt{cpu}, with(ledger.AgentBusy, ""), []string{CPU}, Choice{Index: -1}, "holds an attempt"},
		{"quarantined", []ledger.Attempt{cpu}, with(ledger.AgentQuarantined, "slow"), []string{CPU}, Choice{Index: -1}, "quarantined: slow"},
		{"draining", []ledger.Attempt{cpu}, with(ledger.AgentDraining, ""), []string{CPU}, Choice{Index: -1}, "draining"},
		{"no device", []ledger.Attempt{cpu}, idle, nil, Choice{Index: -1}, "wants 1 × cpu"},
		{"a GPU is no CPU", []ledger.Attempt{cpu}, idle, []string{"GPU-1"}, Choice{Index: -1}, "wants 1 × cpu"},
		{"device unsaid is the CPU", []ledger.Attempt{{ID: "x"}}, idle, []string{"GPU-1", CPU}, Choice{0, []string{CPU}}, ""},
		{"two GPUs in order", []ledger.Attempt{{Device: KindGPU, Devices: 2}}, idle, []string{"GPU-3", CPU, "GPU-1", "GPU-2"}, Choice{0, []string{"GPU-1", "GPU-2"}}, ""},
		{"too few GPUs", []ledger.Attempt{{Device: KindGPU, Devices: 2}}, idle, []string{CPU, "GPU-1"}, Choice{Index: -1}, "wants 2 × gpu, free are 1"},
		{"another machine's", []ledger.Attempt{{Machine: "beta"}, {Machine: "alpha"}}, idle, []string{CPU}, Choice{1, []string{CPU}}, ""},
		{"labels", []ledger.Attempt{{Labels: map[string]string{"gpu": "b200"}}, {Labels: map[string]string{"gpu": "h200"}}}, idle, []string{CPU}, Choice{1, []string{CPU}}, ""},
		{"label missing", []ledger.Attempt{{ID: "x", Labels: map[string]string{"rack": ""}}}, idle, []string{CPU}, Choice{Index: -1}, "attempt x: wants label rack="},
		{"not yet", []ledger.Attempt{{NotBefore: now.Add(time.Second)}}, idle, []string{CPU}, Choice{Index: -1}, "waits until"},
		{"now", []ledger.Attempt{{NotBefore: now}}, idle, []string{CPU}, Choice{0, []string{CPU}}, ""},
		{"avoided", []ledger.Attempt{{Avoid: []string{"a1"}, Created: now}, cpu}, idle, []string{CPU}, Choice{1, []string{CPU}}, ""},
		{"avoided long enough", []ledger.Attempt{{Avoid: []string{"a1"}, Created: now.Add(-AvoidFor)}}, idle, []string{CPU}, Choice{0, []string{CPU}}, ""},
		{"a calling machine's own", []ledger.Attempt{{Machine: "beta"}, {}, {Machine: "alpha"}}, calling, []string{CPU}, Choice{2, []string{CPU}}, ""},
		{"a calling machine serves nobody else", []ledger.Attempt{{}}, calling, []string{CPU}, Choice{Index: -1}, "machines of the fleet"},
		{"several don't fit", []ledger.Attempt{{ID: "x", Machine: "beta"}, {Machine: "beta"}}, idle, []string{CPU}, Choice{Index: -1}, "attempt x: is for machine beta (and 1 more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why, ok := Next(c.queue, c.agent, c.free, now)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if ok != (c.want.Index >= 0) || ok != (why == "") || !strings.Contains(why, c.why) {
				t.Errorf("ok %v, why %q; want a part %q", ok, why, c.why)
			}
		})
	}
}
