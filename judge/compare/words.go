package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/baseline"
)

// subjectText is what was measured, in words.
func subjectText(r result.Run, rounds []result.Round) string {
	text := r.Subject.Target + " · " + r.Subject.Model
	if b := r.Subject.Build; b != "" && b != "self" {
		text = r.Subject.Target + " · " + shortBuild(b) + " · " + r.Subject.Model
	}
	if len(rounds) == 0 {
		return text
	}
	id := rounds[len(rounds)-1].Subject
	var more []string
	for _, s := range []string{id.DType, id.Engine, id.Build} {
		if s != "" && s != "(unknown)" {
			more = append(more, s)
		}
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

// shortBuild is a build with its digest or commit cut to what people compare.
func shortBuild(b string) string {
	kind, rest, _ := strings.Cut(b, ":")
	if hash, ok := strings.CutPrefix(rest, "sha256:"); ok {
		kind, rest = kind+":sha256", hash
	}
	if kind != "url" && len(rest) > 12 {
		return kind + ":" + rest[:12]
	}
	return b
}

// machineText names the machines that measured, in words.
func machineText(rounds []result.Round) string {
	var out []string
	for _, r := range rounds {
		h := r.Environment.Hardware
		parts := []string{h.CPUModel}
		if h.GPUModel != "" {
			parts[0] = fmt.Sprintf("%d × %s", h.GPUCount, h.GPUModel)
		} else if h.Cores > 0 {
			parts = append(parts, fmt.Sprintf("%d cores", h.Cores))
		}
		parts = append(parts, h.ISA)
		text := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
		if r.Environment.Host != "" {
			text = r.Environment.Host + ": " + text
		}
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

// badges say what must be seen wherever the result is shown; asked are the faults that
// were asked for.
func badges(lane result.Lane, asked []string, rounds []result.Round) []string {
	faults := map[string]bool{}
	for _, f := range asked {
		faults[f] = true
	}
	synthetic, modified, unknown := false, false, false
	for _, x := range rounds {
		unknown = unknown || baseline.Unknown(x.Subject)
		synthetic = synthetic || x.Subject.Synthetic
		modified = modified || x.Subject.Modified
		for _, f := range x.Subject.Faults {
			faults[f] = true
		}
	}
	var out []string
	if synthetic {
		out = append(out, "synthetic")
	}
	for _, f := range slices.Sorted(maps.Keys(faults)) {
		out = append(out, "fault-injected: "+f)
	}
	switch {
	case modified:
		out = append(out, "modified work tree")
	case unknown && lane == result.LaneBase: // it claims a commit
		out = append(out, "unknown build")
	}
	return out
}

// maxWarnings bounds a report's warnings.
const maxWarnings = 20

// warnings are what to know about the measurement, each once, those of invalid rounds
// first.
func warnings(rounds []result.Round) []string {
	var out []string
	add := func(s string) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, r := range rounds {
		if !r.Valid {
			add(fmt.Sprintf("round %d is invalid: %s", r.Index, whyInvalid(&r, nil, "it doesn't say why")))
		}
	}
	for _, r := range rounds {
		where := fmt.Sprintf("round %d", r.Index)
		reasons(r.Reasons, func(s string) { add(where + ": " + s) })
		for _, c := range r.Cells {
			reasons(c.Reasons, func(s string) { add(where + ", " + c.Workload + ": " + s) })
		}
	}
	if n := len(out) - maxWarnings; n > 0 {
		out = append(out[:maxWarnings], fmt.Sprintf("and %d more", n))
	}
	return out
}

func reasons(rs []result.Reason, add func(string)) {
	for _, r := range rs {
		if r.Warn {
			add(r.Detail)
		}
	}
}
