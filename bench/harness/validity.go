package harness

import (
	"fmt"
	"maps"
	"slices"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/suites/spec"
)

// judgeTrial gives the reasons why a trial may not be believed, from its values and
// samples.
func judgeTrial(c spec.Cell, w Window, values []result.Value) []result.Reason {
	var reasons []result.Reason
	add := func(code, format string, args ...any) {
		reasons = append(reasons, result.Reason{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	over := func(id metric.ID, limit float64) (float64, bool) {
		v, ok := find(values, id)
		return v, ok && v > limit
	}
	v := c.Validity
	// The limit is held against the quantile of whatever beats there are; showing it
	// as a value takes more of them.
	if limit := ms(v.MaxClientLagP99.Nanoseconds()); limit > 0 {
		if lag := stat.Quantile(w.LagMs, 0.99); lag > limit {
			add("client_lag", "the load generator's own timers fired up to %.3g ms late (99th percentile of %d; limit %.3g ms): something else held this machine's cores", lag, len(w.LagMs), limit)
		}
	}
	if v.MaxClientCPU > 0 {
		if cpu, ok := over("client_cpu", v.MaxClientCPU); ok {
			add("client_cpu", "the measuring code took %.0f %% of a core (limit %.0f %%)", 100*cpu, 100*v.MaxClientCPU)
		}
	}
	if v.MaxSteal > 0 {
		if steal, ok := over("steal", v.MaxSteal); ok {
			add("steal", "the hypervisor took %.1f %% of the CPU time (limit %.1f %%)", 100*steal, 100*v.MaxSteal)
		}
	}
	if share, ok := find(values, "delivered_ratio"); ok && share < v.MinDelivered {
		add("delivered", "only %.1f %% of the requests that were due in the window were sent in it (limit %.1f %%): the target had %d of them in flight all the time; lower the rate, or raise max_in_flight", 100*share, 100*v.MinDelivered, c.Load.Slots())
	}
	if rate, ok := over("error_rate", v.MaxErrorRate); ok {
		add("errors", "%.1f %% of requests failed (limit %.1f %%): %s", 100*rate, 100*v.MaxErrorRate, firstError(w.Own))
	}
	if exact, ok := find(values, "osl_exact"); ok && 1-exact > v.MaxOSLErrors+1e-12 {
		add("osl", "%.1f %% of requests had another output length than asked for (limit %.1f %%): %s", 100*(1-exact), 100*v.MaxOSLErrors, firstLength(w.Own))
	}
	if len(w.Own) == 0 {
		add("empty", "no request began in the window")
	}
	return reasons
}

func firstError(samples []result.Sample) string {
	for _, s := range samples {
		if s.Error != "" {
			return "the first one: " + s.Error
		}
		if truncated(&s) {
			return "the first one: " + s.Broken
		}
	}
	return "none in this window"
}

func firstLength(samples []result.Sample) string {
	for _, s := range samples {
		if s.Error == "" && s.CancelAt == 0 && tokens(&s) != s.WantTokens {
			return fmt.Sprintf("request %d gave %d of %d tokens", s.Index, tokens(&s), s.WantTokens)
		}
	}
	return "none in this window"
}

// judgeGPUs gives the reasons that GPU telemetry has against a window; a software
// power cap is normal on a loaded GPU and only warns. foreign may be nil.
func judgeGPUs(readings []probe.Reading, foreign func(pids []int) []int) []result.Reason {
	others, shared := map[int]bool{}, 0
	seen := map[string]int{}
	total := 0
	ecc := map[string][2]uint64{}
	for _, r := range readings {
		for _, g := range r.GPUs {
			total++
			if foreign != nil {
				pids := foreign(g.Processes)
				for _, p := range pids {
					others[p] = true
				}
				if len(pids) > 0 {
					shared++
				}
			}
			for _, name := range g.Throttle {
				seen[name]++
			}
			if g.ECCUncorrected != nil {
				e, ok := ecc[g.UUID]
				if !ok {
					e[0] = *g.ECCUncorrected
				}
				e[1] = *g.ECCUncorrected
				ecc[g.UUID] = e
			}
		}
	}
	var reasons []result.Reason
	for _, name := range []string{probe.ThrottleHWSlowdown, probe.ThrottleHWThermal, probe.ThrottlePowerBrake, probe.ThrottleSWThermal, probe.ThrottleSWPowerCap} {
		if n := seen[name]; n > 0 {
			reasons = append(reasons, result.Reason{
				Code: "throttled", Warn: name == probe.ThrottleSWPowerCap,
				Detail: fmt.Sprintf("%d of %d GPU readings show %s", n, total, name),
			})
		}
	}
	if shared > 0 {
		reasons = append(reasons, result.Reason{
			Code: "foreign", Detail: fmt.Sprintf("%d of %d GPU readings show processes that aren't the subject's: %v", shared, total, slices.Sorted(maps.Keys(others))),
		})
	}
	for uuid, e := range ecc {
		if e[1] > e[0] {
			reasons = append(reasons, result.Reason{Code: "ecc", Detail: fmt.Sprintf("GPU %s had %d new uncorrected memory errors", uuid, e[1]-e[0])})
		}
	}
	return reasons
}

// valid says that no reason invalidates.
func valid(reasons []result.Reason) bool {
	return !slices.ContainsFunc(reasons, func(r result.Reason) bool { return !r.Warn })
}
