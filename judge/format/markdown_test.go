package format

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/paceline/paceline/judge/gate"
)

func TestMarkdownBeginsWithTheVerdict(t *testing.T) {
	for name, r := range samples(t) {
		lines := strings.Split(render(t, "markdown", r, Options{}), "\n")
		if !regexp.MustCompile(`^<!-- paceline:[A-Za-z0-9._-]* -->$`).MatchString(lines[0]) {
			t.Errorf("%s: the marker is %q", name, lines[0])
		}
		if want := "### " + Symbol(r.Overall.Kind) + " " + strings.ToUpper(string(r.Overall.Kind)); !strings.HasPrefix(lines[2], want) {
			t.Errorf("%s: the verdict is %q", name, lines[2])
		}
	}
}

func TestMarkerIsAComment(t *testing.T) {
	for in, want := range map[string]string{
		"ci": "<!-- paceline:ci -->", "a b--->x": "<!-- paceline:a-b-x -->", "": "<!-- paceline: -->", "--": "<!-- paceline:- -->",
	} {
		if got := Marker(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestMarkdownFits: however much there is to say, it fits, is whole, begins with what
// is worst, and says how much is left out.
func TestMarkdownFits(t *testing.T) {
	build := func(n int, text string) *Report {
		r := samples(t)["fail"]
		bad := r.Lines[0]
		r.Lines = nil
		for i := range n {
			l := bad
			v := *bad.Verdict
			l.Workload, l.Verdict = fmt.Sprintf("w%d%s", i, text), &v
			if i > 0 {
				v.Kind = gate.Pass
			}
			if i == n-1 {
				v.Kind, l.Workload = gate.Fail, "last-"+l.Workload
			}
			r.Lines = append(r.Lines, l)
			r.Overall.Also = append(r.Overall.Also, text)
			r.Warnings = append(r.Warnings, text)
			r.Speedups = append(r.Speedups, Speedup{Workload: text, Over: text, Metric: "output_rate", Missing: text})
		}
		r.Overall.Headline = text
		r.Suite, r.Subject, r.Machine, r.RunID, r.Branch, r.Repeat, r.PageURL, r.Badges = text, text, text, text, text, text, text, []string{text, text}
		return r
	}
	for _, text := range []string{"x", strings.Repeat("<&@|`", 300), strings.Repeat("日本", 200), strings.Repeat("<`", 450)} {
		for _, n := range []int{1, 10, 1_500} {
			r := build(n, text)
			for _, o := range []Options{{}, {Limit: 1}, {Limit: SummaryLimit}} {
				got := render(t, "markdown", r, o)
				limit := max(o.Limit, MinLimit)
				if o.Limit == 0 {
					limit = CommentLimit
				}
				if len(got) > limit {
					t.Errorf("%d rules, %.8q…: %d bytes, limit %d", n, text, len(got), limit)
				}
				if a, b := strings.Count(got, "<details>"), strings.Count(got, "</details>"); a != b {
					t.Errorf("%d rules, %.8q…: %d folds open, %d close", n, text, a, b)
				}
				if n == 1_500 && limit < SummaryLimit && !strings.Contains(got, "left out for length") {
					t.Errorf("%.8q…: nothing says that something is missing", text)
				}
				if i := strings.Index(got, "last-"); i < 0 {
					t.Errorf("%d rules, limit %d: the last rule failed and isn't shown", n, limit)
				}
			}
		}
	}
	got := render(t, "markdown", build(1_500, "x"), Options{})
	m := regexp.MustCompile(`(\d+) checks passed</summary>`).FindStringSubmatch(got)
	if m == nil {
		t.Fatal("what passed isn't folded")
	}
	fold := got[strings.Index(got, m[0]):]
	fold = fold[:strings.Index(fold, "</details>")]
	var total, more int
	fmt.Sscan(m[1], &total)
	if c := regexp.MustCompile(`and (\d+) more rows`).FindStringSubmatch(fold); c != nil {
		fmt.Sscan(c[1], &more)
	}
	if shown := strings.Count(fold, "\n| ●"); shown+more != total || more == 0 {
		t.Errorf("%d rows shown, %d more, of %d", shown, more, total)
	}
}

// TestMarkdownHoldsText: hostile names are cells and words and nothing else.
func TestMarkdownHoldsText(t *testing.T) {
	text := render(t, "markdown", samples(t)["hostile"], Options{})
	// The command to repeat stands in a code span, where nothing is markup.
	text, _, _ = strings.Cut(text, "repeat: ")
	if strings.Contains(text, "<script") || strings.ContainsAny(text, "\x1b\r\u202e\x00") {
		t.Errorf("markup or control characters: %s", text)
	}
	bar := regexp.MustCompile(`(^|[^\\])\|`)
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "| ▼") {
			if n := len(bar.FindAllString(line, -1)); n != 8 {
				t.Errorf("a row has %d bars: %s", n, line)
			}
		}
	}
	for _, live := range []string{"@all", "#1 ", "`z`"} {
		for _, at := range regexp.MustCompile(regexp.QuoteMeta(live)).FindAllStringIndex(text, -1) {
			if line := text[strings.LastIndex(text[:at[0]], "\n")+1:]; !strings.HasPrefix(line, "[run") { // a link's address
				t.Errorf("%q is live: %.80q", live, text[max(at[0]-40, 0):])
			}
		}
	}
}
