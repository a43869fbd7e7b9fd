// Command testsum reads the output of "go test -json" on standard input, shows
// what failed and what was skipped with its reason, and ends with the plain line of
// counts. With -add FILE it adds its counts to those of earlier calls in the file;
// "testsum -total FILE" prints the sum. It exits 1 where anything failed, and where
// nothing was run. "testsum -note 'skip NAME: REASON'" counts one check that go test
// doesn't run.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// counts are tests by outcome; subtests count, their parents don't.
type counts struct {
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped []string `json:"skipped"` // "package Test: reason"

	noted bool // one outcome, told by -note
}

// event is a line of test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type key struct{ pkg, test string }

func main() {
	add := flag.String("add", "", "add the counts to those in `FILE`")
	total := flag.String("total", "", "print the counts in `FILE` and end")
	note := flag.String("note", "", "count one `OUTCOME` in place of standard input: 'pass NAME', 'fail NAME' or 'skip NAME: REASON'")
	maxSkips := flag.Int("max-skips", -1, "fail when more are skipped than `N`")
	flag.Parse()
	if *total != "" {
		c, err := read(*total)
		if err != nil {
			fmt.Fprintln(os.Stderr, "testsum:", err)
			os.Exit(1)
		}
		os.Exit(c.report(os.Stdout, *maxSkips))
	}
	var c counts
	var err error
	if *note != "" {
		c, err = noted(*note)
	} else {
		c, err = sum(os.Stdin, os.Stdout)
	}
	if err == nil && *add != "" {
		err = c.addTo(*add)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	os.Exit(c.report(os.Stdout, *maxSkips))
}

// noted is the one outcome that a text names.
func noted(text string) (counts, error) {
	outcome, name, _ := strings.Cut(text, " ")
	switch {
	case name == "":
	case outcome == "pass":
		return counts{Passed: 1, noted: true}, nil
	case outcome == "fail":
		return counts{Failed: 1, noted: true}, nil
	case outcome == "skip" && strings.Contains(name, ": "):
		return counts{Skipped: []string{name}, noted: true}, nil
	}
	return counts{}, fmt.Errorf("-note %q: want 'pass NAME', 'fail NAME' or 'skip NAME: REASON'", text)
}

// sum counts and shows failures as they end.
func sum(r io.Reader, w io.Writer) (counts, error) {
	var c counts
	output := map[key]*strings.Builder{}
	parent := map[key]bool{}
	built := map[string]*strings.Builder{}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprintln(w, line) // the go command's own words
			} else {
				c.take(e, output, built, parent, w)
			}
		}
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return c, fmt.Errorf("read test output: %w", err)
		}
	}
}

func (c *counts) take(e event, output map[key]*strings.Builder, built map[string]*strings.Builder, parent map[key]bool, w io.Writer) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "run":
		if i := strings.LastIndexByte(e.Test, '/'); i >= 0 {
			parent[key{e.Package, e.Test[:i]}] = true
		}
		output[k] = &strings.Builder{}
	case "output":
		if output[k] == nil {
			output[k] = &strings.Builder{}
		}
		output[k].WriteString(e.Output)
	case "build-output":
		if built[e.ImportPath] == nil {
			built[e.ImportPath] = &strings.Builder{}
		}
		built[e.ImportPath].WriteString(e.Output)
	case "build-fail":
		if built[e.ImportPath] != nil {
			fmt.Fprint(w, built[e.ImportPath])
		}
	case "pass":
		switch {
		case e.Test == "":
			fmt.Fprintf(w, "ok    %s  %.1f s\n", short(e.Package), e.Elapsed)
		case !parent[k]:
			c.Passed++
		}
		delete(output, k)
	case "fail":
		if e.Test == "" {
			fmt.Fprintf(w, "FAIL  %s\n", short(e.Package))
			if output[k] != nil {
				fmt.Fprint(w, output[k])
			}
			if !c.failedIn(e.Package, parent) {
				c.Failed++ // it did not build, or it died outside a test
			}
		} else {
			parent[key{e.Package, ""}] = true
			if !parent[k] {
				c.Failed++
			}
			fmt.Fprintf(w, "FAIL  %s %s\n%s", short(e.Package), e.Test, output[k])
		}
		delete(output, k)
	case "skip":
		if e.Test != "" && !parent[k] {
			c.Skipped = append(c.Skipped, fmt.Sprintf("%s %s: %s", short(e.Package), e.Test, reason(output[k])))
		}
		delete(output, k)
	}
}

func (c *counts) failedIn(pkg string, parent map[key]bool) bool { return parent[key{pkg, ""}] }

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/paceline/paceline/") }

// reason is the text of the skip: the last line that the test logged.
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	last := "no reason given"
	for l := range strings.Lines(b.String()) {
		l = strings.TrimSpace(l)
		if _, text, ok := strings.Cut(l, ".go:"); ok {
			if _, text, ok = strings.Cut(text, ": "); ok {
				last = text
			}
		}
	}
	return last
}

func read(name string) (counts, error) {
	var c counts
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read counts: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("read counts from %s: %w", name, err)
	}
	return c, nil
}

func (c counts) addTo(name string) error {
	all, err := read(name)
	if err != nil {
		return err
	}
	all.Passed += c.Passed
	all.Failed += c.Failed
	all.Skipped = append(all.Skipped, c.Skipped...)
	b, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	return nil
}

// report prints skips with their reasons, then the line of counts, and gives the
// exit code.
func (c counts) report(w io.Writer, maxSkips int) int {
	code := 0
	for _, s := range c.Skipped {
		fmt.Fprintln(w, "skip  "+s)
	}
	if c.Failed > 0 {
		code = 1
	}
	if c.Passed+c.Failed == 0 && !c.noted {
		fmt.Fprintln(w, "testsum: no test was run")
		code = 1
	}
	if maxSkips >= 0 && len(c.Skipped) > maxSkips {
		fmt.Fprintf(w, "testsum: %d skipped, at most %d may be\n", len(c.Skipped), maxSkips)
		code = 1
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", c.Passed, c.Failed, len(c.Skipped))
	return code
}
