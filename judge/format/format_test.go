package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

var update = flag.Bool("update", false, "write golden files from what the code does now")

func render(t *testing.T, format string, r *Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	ending := map[string]string{"human": "txt", "json": "json", "markdown": "md", "junit": "xml", "github": "github.txt", "openmetrics": "metrics.txt"}
	for name, r := range samples(t) {
		for _, format := range Names() {
			t.Run(name+"/"+format, func(t *testing.T) {
				got := render(t, format, r, Options{})
				path := filepath.Join("testdata", name+"."+ending[format])
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			})
		}
	}
}

// What a person must find in the terminal's form.
func TestHumanSaysEverything(t *testing.T) {
	text := render(t, "human", samples(t)["fail"], Options{})
	for _, want := range []string{
		"output_rate", "27.3 tok/s", "39.1 tok/s ± 0.2", "(10)", "−30.2 % worse", "▼ fail", "synthetic", "slow=1.43", "could fail a drop of 20 %",
		"http://127.0.0.1:7070/runs/2f81", "paceline run ci", "exit 1", "3 rounds", "pinned v1.2", "never blocks",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if first, _, _ := strings.Cut(render(t, "human", samples(t)["first"], Options{}), "\n"); !strings.Contains(first, "NOTHING WAS COMPARED") {
		t.Errorf("the first line is %q", first)
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if last := all[len(all)-1]; !strings.Contains(last, "FAIL (exit 1)") {
		t.Errorf("the last line is %q", last)
	}
}

func TestColourChangesNothingElse(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9]+m")
	for name, r := range samples(t) {
		dull, bright := render(t, "human", r, Options{All: true}), render(t, "human", r, Options{All: true, Colour: true})
		if !strings.Contains(bright, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		if got := escape.ReplaceAllString(bright, ""); got != dull {
			t.Errorf("%s: without its colours it is another text (-dull +bright):\n%s", name, cmp.Diff(dull, got))
		}
	}
}

func TestJSONIsTheReport(t *testing.T) {
	for name, r := range samples(t) {
		var back Report
		if err := json.Unmarshal([]byte(render(t, "json", r, Options{})), &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != "hostile" { // its invalid UTF-8, if any, is replaced
			if diff := cmp.Diff(r, &back); diff != "" {
				t.Errorf("%s: reading it back (-want +got):\n%s", name, diff)
			}
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteErrors(t *testing.T) {
	r := samples(t)["pass"]
	if err := Write(fullDisk{}, "human", r, Options{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{"junits": `did you mean "junit"?`, "pdf-and-more": "known are human"} {
		if err := Write(io.Discard, name, r, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	for _, format := range Names() {
		if got := render(t, format, &Report{}, Options{All: true}); got == "" {
			t.Errorf("%s writes nothing", format)
		}
	}
}

// Every kind of verdict has a shape of its own, or the one for "not judged".
func TestSymbols(t *testing.T) {
	seen := map[string]gate.Kind{}
	for _, k := range []gate.Kind{gate.Pass, gate.Fail, gate.Warn, gate.Inconclusive, gate.NoBaseline, gate.Error, gate.Invalid} {
		if other, taken := seen[Symbol(k)]; taken {
			t.Errorf("%s and %s have the same shape", k, other)
		}
		seen[Symbol(k)] = k
	}
	if metric.Nearest("human", Names()) != "human" {
		t.Error("human is not a format")
	}
}

// TestDocumented: the page on outputs names every format, and shows no other.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "outputs.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		if !strings.Contains(string(b), "\n| `"+name+"` |") {
			t.Errorf("docs/outputs.md has no row for %s", name)
		}
	}
	for _, m := range regexp.MustCompile(`--(?:output|format) ([a-z]+)`).FindAllStringSubmatch(string(b), -1) {
		if err := Check(m[1]); err != nil {
			t.Error(err)
		}
	}
}
