// Package place decides which attempt of the queue a machine gets.
//
// Next is pure: everything it decides on comes in, and its answer can be tested and
// explained. That a device is leased once only is the ledger's (a partial unique
// index), which calls it within the claim's transaction.
package place

import (
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// AvoidFor is how long an attempt waits for another machine than those it avoids.
const AvoidFor = time.Minute

// CPU is the name of the one device that every machine has. Any other name is a
// GPU's UUID.
const CPU = "cpu"

// Kinds of devices that an attempt asks for.
const (
	KindCPU = "cpu"
	KindGPU = "gpu"
)

// Choice is the attempt that a machine gets, with the devices leased to it.
type Choice struct {
	Index   int // in the queue
	Devices []string
}

// Next chooses the first attempt of the queue, which is in order of submission, that
// the agent can take now; free are its devices that nobody holds. If there is none,
// why says what kept the attempts that came nearest; it is "" exactly if ok.
func Next(queue []ledger.Attempt, a ledger.Agent, free []string, now time.Time) (c Choice, why string, ok bool) {
	switch a.State {
	case ledger.AgentIdle:
	case ledger.AgentBusy:
		return Choice{Index: -1}, "the machine holds an attempt", false // one attempt per host
	default:
		why = "the agent is " + string(a.State)
		if a.Reason != "" {
			why += ": " + a.Reason
		}
		return Choice{Index: -1}, why, false
	}
	if len(queue) == 0 {
		return Choice{Index: -1}, "the queue is empty", false
	}
	for i := range queue {
		devices, no := fits(&queue[i], a, free, now)
		if no == "" {
			return Choice{Index: i, Devices: devices}, "", true
		}
		if why == "" {
			why = fmt.Sprintf("attempt %s: %s", queue[i].ID, no)
		}
	}
	if n := len(queue) - 1; n > 0 {
		why += fmt.Sprintf(" (and %d more that don't fit)", n)
	}
	return Choice{Index: -1}, why, false
}

// fits gives the devices for an attempt, or says why not.
func fits(t *ledger.Attempt, a ledger.Agent, free []string, now time.Time) (devices []string, why string) {
	if t.Machine != "" && t.Machine != a.Name {
		return nil, "is for machine " + t.Machine
	}
	if a.Caller && t.Machine != a.Name {
		return nil, "is for machines of the fleet, and this is a calling one"
	}
	for k, v := range t.Labels {
		if got, has := a.Labels[k]; !has || got != v {
			return nil, fmt.Sprintf("wants label %s=%s", k, v)
		}
	}
	if now.Before(t.NotBefore) {
		return nil, "waits until " + t.NotBefore.Format(time.RFC3339)
	}
	if slices.Contains(t.Avoid, a.ID) && now.Before(t.Created.Add(AvoidFor)) {
		return nil, "looks for another machine than this"
	}
	want := max(1, t.Devices)
	kind := t.Device
	if kind == "" {
		kind = KindCPU
	}
	for _, d := range slices.Sorted(slices.Values(free)) { // all of a target's in order, so that no two wait for each other
		if (d == CPU) == (kind == KindCPU) && len(devices) < want {
			devices = append(devices, d)
		}
	}
	if len(devices) < want {
		return nil, fmt.Sprintf("wants %d × %s, free are %d", want, kind, len(devices))
	}
	return devices, ""
}
