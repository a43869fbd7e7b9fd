package metric

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Table() {
		if seen[d.Name] {
			t.Errorf("%s stands twice", d.Name)
		}
		seen[d.Name] = true
		if d.Unit == "" || d.Meaning == "" || d.Source == "" || d.Version < 1 || len(d.Stats) == 0 {
			t.Errorf("%s is incomplete: %+v", d.Name, d)
		}
		if strings.ContainsAny(d.Name, ". ") {
			t.Errorf("%q: a dot parts name and statistic", d.Name)
		}
		for _, s := range d.Stats {
			id, def, stat, err := Parse(string(d.ID(s)))
			if err != nil || id != d.ID(s) || def.Name != d.Name || stat != s {
				t.Errorf("%s comes back as %s, %v", d.ID(s), id, err)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]ID{"output_rate": "output_rate", "ttft": "ttft.p50", "ttft.p95": "ttft.p95"} {
		if got, _, _, err := Parse(in); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for in, says := range map[string]string{
		"ouput_rate":      `did you mean "output_rate"`,
		"ttft.p42":        "it has p50, p90",
		"output_rate.p50": "one value a trial",
		"":                "known are",
		"zzzzzzzzzzzzz":   "known are",
	} {
		if _, _, _, err := Parse(in); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Parse(%q): %v, want %q", in, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ttft.p50", "output_rate", "ttft.", ".p50", "gap.max.max"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, def, stat, err := Parse(s)
		if err == nil && def.ID(stat) != id {
			t.Errorf("Parse(%q) = %q of %q.%q", s, id, def.Name, stat)
		}
	})
}
