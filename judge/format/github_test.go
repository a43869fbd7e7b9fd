package format

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/paceline/paceline/judge/gate"
)

// command is a workflow command as GitHub's runner reads one.
type command struct {
	name, text string
	props      map[string]string
}

// readCommand follows the runner: a line that begins, after blanks, with "::", a name,
// properties between commas, "::", the message.
func readCommand(line string) (c command, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "::")
	if !ok {
		return c, false
	}
	head, text, ok := strings.Cut(rest, "::")
	if !ok {
		return c, false
	}
	name, props, _ := strings.Cut(head, " ")
	c = command{name: name, text: strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(text), props: map[string]string{}}
	for _, p := range strings.Split(props, ",") {
		k, v, _ := strings.Cut(p, "=")
		c.props[k] = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%").Replace(v)
	}
	return c, true
}

func readCommands(t *testing.T, text string) []command {
	t.Helper()
	var out []command
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		c, ok := readCommand(line)
		if !ok || c.name != "error" && c.name != "warning" && c.name != "notice" {
			t.Errorf("no annotation: %q", line)
			continue
		}
		out = append(out, c)
	}
	return out
}

// TestEscapesComeBack: what the runner reads is what was meant, whatever it is.
func TestEscapesComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"%", "%25", "%0A", "%3A", ":", "::", ",", "\n", "\r", "=", "error", " ", "é", "]", "a"}
	for range 5_000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		s := b.String()
		line := "::error title=" + escapeProperty(s) + ",file=x::" + escapeData(s)
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q is more than a line: %q", s, line)
		}
		c, ok := readCommand(line)
		if !ok || c.props["title"] != s || c.text != s || c.props["file"] != "x" {
			t.Fatalf("%q came back as %q and %q of %q", s, c.props["title"], c.text, line)
		}
	}
}

func TestAnnotations(t *testing.T) {
	all := samples(t)
	fail := all["fail"]
	fail.Source, fail.Lines[0].SourceLine = "bench/my, suite.yml", 27
	got := readCommands(t, render(t, "github", fail, Options{}))
	if got[0].name != "error" || !strings.Contains(got[0].props["title"], "FAIL (exit 1)") || !strings.Contains(got[0].text, "2 fail, 1 warn, 1 pass") || !strings.Contains(got[0].text, "[synthetic]") {
		t.Errorf("the verdict: %+v", got[0])
	}
	if got[1].props["file"] != "bench/my, suite.yml" || got[1].props["line"] != "27" || !strings.Contains(got[1].text, "39.1 tok/s") {
		t.Errorf("the failing rule: %+v", got[1])
	}
	if len(got) != 4 || got[3].name != "warning" {
		t.Errorf("%d annotations, the last %+v", len(got), got[len(got)-1])
	}
	for name, want := range map[string]string{"pass": "notice", "first": "notice", "unlike": "warning", "noisy": "error", "broken": "error", "cancelled": "error", "refused": "error"} {
		if got := readCommands(t, render(t, "github", all[name], Options{})); got[0].name != want {
			t.Errorf("%s: the verdict is a %s, want %s", name, got[0].name, want)
		}
	}
	first := readCommands(t, render(t, "github", all["first"], Options{}))
	if len(first) != 1 || !strings.Contains(first[0].text, "NOTHING WAS COMPARED") {
		t.Errorf("a first run gives %d annotations, %+v: that nothing could be compared is said once", len(first), first[0])
	}
}

// TestAnnotationsAreBounded: GitHub shows ten of a level; the tenth counts the rest.
func TestAnnotationsAreBounded(t *testing.T) {
	r := samples(t)["fail"]
	for i := range 25 {
		l := r.Lines[0]
		l.Workload = fmt.Sprint("w", i)
		r.Lines = append(r.Lines, l)
	}
	of := map[string][]command{}
	for _, c := range readCommands(t, render(t, "github", r, Options{})) {
		of[c.name] = append(of[c.name], c)
	}
	if n := len(of["error"]); n != 10 {
		t.Fatalf("%d errors", n)
	}
	// 27 failing rules and the verdict: 9 are shown.
	if last := of["error"][9]; last.props["title"] != "and 19 more" {
		t.Errorf("the last error is %+v", last)
	}
	if len(of["warning"]) != 1 {
		t.Errorf("%d warnings", len(of["warning"]))
	}
}

func TestOutputs(t *testing.T) {
	for name, r := range samples(t) {
		b, err := Outputs(r, "end-4711")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		lines := strings.Split(string(b), "\n")
		for i := 0; i+2 < len(lines); i += 3 { // as the runner reads it, for values of one line
			key, end, ok := strings.Cut(lines[i], "<<")
			if !ok || lines[i+2] != end {
				t.Fatalf("%s: not name<<end, value, end: %q", name, lines[i:i+3])
			}
			got[key] = lines[i+1]
		}
		if len(got) != 4 || got["verdict"] != string(r.Overall.Kind) || got["exit-code"] != fmt.Sprint(r.Overall.Exit) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, bad := range []string{"", "nothing", "a\nb"} {
		if _, err := Outputs(samples(t)["pass"], bad); err == nil {
			t.Errorf("delimiter %q is taken", bad)
		}
	}
}

// TestNothingIsACommand: what people read in a job's log holds no command, whatever
// the names are. The runner takes "##[name]" anywhere in a line, too.
func TestNothingIsACommand(t *testing.T) {
	r := samples(t)["hostile"]
	old := regexp.MustCompile(`##[a-z]*\[`)
	for _, format := range Names() {
		text := render(t, format, r, Options{All: true})
		if m := old.FindString(text); m != "" {
			t.Errorf("%s has %q", format, m)
		}
		if format == "github" {
			continue
		}
		for _, line := range strings.Split(text, "\n") {
			if c, ok := readCommand(line); ok {
				t.Errorf("%s gives the command %+v", format, c)
			}
		}
	}
	if got := len(readCommands(t, render(t, "github", r, Options{}))); got != 2 {
		t.Errorf("%d annotations", got)
	}
}

func TestPlainIsOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2J\r\nb\u202ec\u2028": "a [2J  b c ", "\xffx": "�x", "###": "# # #", "\ufffe\uffff": "  ", "é 日本 🤖": "é 日本 🤖",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for n := range 12 {
		got := clip("aéß日本語", n)
		if len(got) > max(n, 3) || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
	if got := clip("abc", 3); got != "abc" {
		t.Errorf("%q", got)
	}
}

func TestTally(t *testing.T) {
	if got := samples(t)["fail"].tally(); got != "2 fail, 1 warn, 1 pass" {
		t.Error(got)
	}
	if got := (&Report{Overall: gate.Run{}}).tally(); got != "nothing was judged" {
		t.Error(got)
	}
}
