package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/check"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// checkFlags say what is compared with what, and by which rules.
type checkFlags struct {
	baselines          []string
	data               string
	change, drop, rise string
	metrics            []string
	better             []string
	requireBaseline    bool
	inconclusive       string
}

func checkCommand() *cobra.Command {
	var f checkFlags
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "check RESULT…",
		Short: "judge result files, Go benchmarks or a CSV against a baseline",
		Long: `Judges measurements that lie in files by the same gate as a run, with the same verdicts
and exit codes, without measuring anything and without a server. What a RESULT is is told
by its contents; "-" is standard input:

  result file    of "paceline run --out": judged by the rules of the suite inside
  Go benchmarks  the text of "go test -bench": every metric may get 20 % worse
  CSV, JSON      of name, value, unit, direction (higher or lower is better), and a round
                 if you like: every metric may get 20 % worse

Several values of one name are rounds, and so are several files. The gate looks after 1,
3, 5 and 7 rounds. It can't run more here, so that a change which is neither clearly
fine nor confirmed is inconclusive, and says how many rounds to bring.

--baseline is a file of "paceline baseline export"; or files of the kinds above, whose
rounds are the level; or the name of a branch in the data folder ("branch:NAME" where a
file has that name too).

` + exitCodesHelp,
		Example: `  go test -run='^$' -bench=. -count=7 ./... > new.txt
  paceline check new.txt --baseline old.txt
  paceline check new.txt --baseline old.txt --metric ns/op --max-change 10%
  paceline check result.json --baseline main --output junit=report.xml
  paceline check values.csv --baseline last.csv --better tok/s=higher`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			rep, err := f.judge(cmd.Context(), cmd.InOrStdin(), args)
			if err != nil {
				return out.ended(cmd, nil, "", err)
			}
			return out.show(cmd, &rep)
		},
	}
	out.addShown(cmd, "show values without a rule too")
	fl := cmd.Flags()
	fl.StringArrayVar(&f.baselines, "baseline", nil, "what to compare with: a file, several (repeat it), or a branch of the data folder")
	fl.StringVar(&f.data, "data", "", "data folder of a branch (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	fl.StringVar(&f.change, "max-change", "", "how much worse a metric may get, in the direction that is worse: 20% or 0.2")
	fl.StringVar(&f.drop, "max-drop", "", "the same, of metrics of which higher is better")
	fl.StringVar(&f.rise, "max-rise", "", "the same, of metrics of which lower is better")
	fl.StringArrayVar(&f.metrics, "metric", nil, "gate only these metrics, workloads or \"workload metric\" (repeat it); * stands for any text")
	fl.StringArrayVar(&f.better, "better", nil, "UNIT=higher or UNIT=lower, where a file doesn't say which way is better (repeat it)")
	fl.BoolVar(&f.requireBaseline, "require-baseline", false, "exit 3 where there is nothing to compare with")
	fl.StringVar(&f.inconclusive, "inconclusive", "", "what an inconclusive verdict counts as: pass or fail (default: exit 4)")
	return cmd
}

// show shows the report of a command that stored nothing, and writes it where it is
// wanted. Its error carries the verdict's exit code.
func (o *outputFlags) show(cmd *cobra.Command, rep *format.Report) error {
	code := rep.Overall.Exit
	switch errs := o.deliver(cmd, rep, nil); {
	case len(errs) == 0 && code == exitOK:
		return nil
	case len(errs) == 0:
		return &exitError{code: code}
	case code == exitOK:
		return fail(exitMachine, "the verdict is %s (exit %d), but not everything could be written:\n%w", rep.Overall.Kind, code, indented(errs))
	default:
		return fail(code, "the verdict is %s (exit %d), and not everything could be written:\n%w", rep.Overall.Kind, code, indented(errs))
	}
}

// judge reads the files, compares them and makes the report.
func (f *checkFlags) judge(ctx context.Context, stdin io.Reader, args []string) (format.Report, error) {
	var none format.Report
	if !slices.Contains([]string{"", "pass", "fail"}, f.inconclusive) {
		return none, fail(exitRequest, "--inconclusive %s: write pass or fail", f.inconclusive)
	}
	rules, err := f.rules()
	if err != nil {
		return none, fail(exitRequest, "%w", err)
	}
	docs, err := readDocuments(stdin, args)
	if err != nil {
		return none, err
	}
	c, err := check.New(docs, rules)
	if err != nil {
		return none, fail(exitRequest, "%w", err)
	}
	level, end, err := f.level(ctx, c)
	if err != nil {
		return none, err
	}
	defer end()
	rep, err := c.Judge(ctx, level, gate.Options{Inconclusive: f.inconclusive, RequireBaseline: f.requireBaseline})
	if err != nil {
		return none, fail(exitMachine, "%w", err)
	}
	rep.Decided = now().UTC()
	return rep, nil
}

// rules are the limits and patterns that the flags give.
func (f *checkFlags) rules() (check.Rules, error) {
	r := check.Rules{Metrics: f.metrics}
	for _, x := range []struct {
		flag, text string
		most       float64
		to         []*float64
	}{
		{"max-change", f.change, 0.95, []*float64{&r.Drop, &r.Rise}},
		{"max-drop", f.drop, 0.95, []*float64{&r.Drop}},
		{"max-rise", f.rise, 10, []*float64{&r.Rise}},
	} {
		if x.text == "" {
			continue
		}
		v, err := parseShare(x.text)
		if err != nil || v < 0.01 || v > x.most {
			return r, fmt.Errorf("--%s %s: write a share of 1%% to %.0f%%, such as 20%% or 0.2", x.flag, x.text, 100*x.most)
		}
		for _, to := range x.to {
			*to = v
		}
	}
	for _, text := range f.better {
		at := strings.LastIndexByte(text, '=')
		if at < 1 {
			return r, fmt.Errorf("--better %s: write UNIT=higher or UNIT=lower", text)
		}
		if r.Better == nil {
			r.Better = map[string]metric.Direction{}
		}
		switch text[at+1:] {
		case "higher":
			r.Better[text[:at]] = metric.HigherIsBetter
		case "lower":
			r.Better[text[:at]] = metric.LowerIsBetter
		default:
			return r, fmt.Errorf("--better %s: %q is none of higher, lower", text, text[at+1:])
		}
	}
	return r, nil
}

// parseShare reads "20%", "20 %" or "0.2".
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	} else if err == nil && v >= 1 {
		return 0, errors.New("a share of 1 or more without a percent sign")
	}
	return v, err
}

// readDocuments reads files of measurements; "-" is standard input.
func readDocuments(stdin io.Reader, paths []string) ([]*imports.Document, error) {
	var docs []*imports.Document
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			return nil, fail(exitRequest, "%s is given twice: its rounds would count twice", path)
		}
		b, err := readFile(stdin, path)
		if err != nil {
			return nil, err
		}
		d, err := imports.Read(nameOf(path), b)
		if err != nil {
			return nil, fail(exitRequest, "%w", err)
		}
		docs = append(docs, d)
	}
	return docs, nil
}

func nameOf(path string) string {
	if path == "-" {
		return "standard input"
	}
	return filepath.ToSlash(path)
}

// readFile reads a file that a person named.
func readFile(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		b, err := io.ReadAll(io.LimitReader(stdin, imports.MaxBytes+1))
		if err != nil {
			return nil, fail(exitMachine, "read standard input: %w", err)
		}
		return b, nil
	}
	if isFolder(path) {
		return nil, fail(exitRequest, "read %s: it is a folder: give a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fail(exitRequest, "read measurements: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, imports.MaxBytes+1))
	if err != nil {
		return nil, fail(exitMachine, "read %s: %w", path, err)
	}
	return b, nil
}

// level finds what --baseline means. end lets go of it.
func (f *checkFlags) level(ctx context.Context, c *check.Check) (l check.Level, end func(), err error) {
	end = func() {}
	if len(f.baselines) == 0 {
		return check.None(), end, nil
	}
	if branch, ok := f.branch(); ok {
		return f.branchLevel(ctx, c, branch)
	}
	l, err = f.fileLevel(c)
	return l, end, err
}

// fileLevel is the level of a baseline file, or of the rounds of other files.
func (f *checkFlags) fileLevel(c *check.Check) (l check.Level, err error) {
	var docs []*imports.Document
	for i, path := range f.baselines {
		if slices.Contains(f.baselines[:i], path) {
			return l, fail(exitRequest, "--baseline %s is given twice: its rounds would count twice", path)
		}
		b, err := f.baselineFile(path)
		if err != nil {
			return l, err
		}
		if imports.Recognise(b) == imports.Baseline {
			if len(f.baselines) > 1 {
				return l, fail(exitRequest, "--baseline %s is a level already: give it alone", path)
			}
			file, err := baseline.ReadFile(bytes.NewReader(b))
			if err != nil {
				return l, fail(exitRequest, "read %s: %w", path, err)
			}
			if l, err = c.Against(nameOf(path), file); err != nil {
				return l, fail(exitRequest, "%w", err)
			}
			return l, nil
		}
		d, err := imports.Read(nameOf(path), b)
		if err != nil {
			return l, fail(exitRequest, "baseline: %w", err)
		}
		docs = append(docs, d)
	}
	if l, err = c.Documents(docs); err != nil {
		return l, fail(exitRequest, "%w", err)
	}
	return l, nil
}

// baselineFile reads a file given to --baseline.
func (f *checkFlags) baselineFile(path string) ([]byte, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fail(exitRequest, "--baseline %s: there is no such file; a branch of the data folder is written branch:%s", path, path)
	}
	return readFile(nil, path)
}

// branch is the branch that --baseline names: with "branch:" before it, or a word that
// is no file and doesn't look like one.
func (f *checkFlags) branch() (string, bool) {
	if len(f.baselines) != 1 {
		return "", false
	}
	name := f.baselines[0]
	if b, ok := strings.CutPrefix(name, "branch:"); ok {
		return b, true
	}
	_, err := os.Stat(name)
	return name, errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, `./\`)
}

// branchLevel reads the level of a branch in the data folder, whoever owns that now.
func (f *checkFlags) branchLevel(ctx context.Context, c *check.Check, branch string) (check.Level, func(), error) {
	var none check.Level
	end := func() {}
	project, suite, ok := c.Suite()
	if !ok {
		return none, end, fail(exitRequest, "--baseline %s: there is no such file, and a data folder has branches of Paceline's own runs only: give a file of the kind that is judged", branch)
	}
	dir := f.data
	if dir == "" {
		var err error
		if dir, err = datadir.Default(); err != nil {
			return none, end, fail(exitRequest, "%w", err)
		}
	}
	path := (&datadir.Dir{Path: dir}).Ledger()
	if _, err := os.Stat(path); err != nil {
		return none, end, fail(exitRequest, "--baseline %s: there is no such file, and no data folder at %s where a branch could be: name it with --data, or give a file", branch, dir)
	}
	l, err := sqlite.OpenRead(ctx, path)
	if err != nil {
		return none, end, fail(exitMachine, "%w", err)
	}
	end = func() { _ = l.Close() }
	levels, err := core.BranchLevels(ctx, l, project, suite, branch, c.Runs())
	if err != nil {
		end()
		if errors.Is(err, core.ErrRequest) {
			return none, func() {}, fail(exitRequest, "--baseline %s: %w", branch, err)
		}
		return none, func() {}, fail(exitMachine, "%w", err)
	}
	return check.Level{Name: branch, Levels: levels}, end, nil
}
