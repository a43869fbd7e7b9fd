package imports

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// The format: https://golang.org/design/14313-benchmark-format.

// goUnits are the units that the testing package itself writes.
func goUnits() map[string]metric.Direction {
	return map[string]metric.Direction{
		"ns/op": metric.LowerIsBetter, "sec/op": metric.LowerIsBetter, "B/op": metric.LowerIsBetter, "allocs/op": metric.LowerIsBetter,
		"MB/s": metric.HigherIsBetter, "B/s": metric.HigherIsBetter,
	}
}

// isBenchmark says whether a word is a benchmark's full name: Benchmark, then nothing
// or a rune that is not a lower-case letter.
func isBenchmark(word string) bool {
	rest, ok := strings.CutPrefix(word, "Benchmark")
	r, _ := utf8.DecodeRuneInString(rest)
	return ok && (rest == "" || !unicode.IsLower(r))
}

// hasBenchmark says whether any line begins with a benchmark's name.
func hasBenchmark(b []byte) bool {
	found := errors.New("found")
	return lines(b, func(_ int, line string) error {
		if fields := strings.Fields(line); len(fields) > 0 && strings.HasPrefix(line, fields[0]) && isBenchmark(fields[0]) {
			return found
		}
		return nil
	}) != nil
}

// goHeader says whether a text looks like output of go test.
func goHeader(b []byte) bool {
	for _, p := range []string{"goos: ", "PASS\n", "ok  \t", "pkg: ", "FAIL"} {
		if bytes.HasPrefix(b, []byte(p)) {
			return true
		}
	}
	return bytes.Contains(b, []byte("\nok  \t"))
}

// configLine is a line that says something of all that follow: "cpu: AMD EPYC".
var configLine = regexp.MustCompile(`^([a-z][^\s:\p{Lu}]*):[ \t]+(.*)$`)

// goLine is one benchmark line with what was known before it.
type goLine struct {
	line   int
	pkg    string
	hw     result.Hardware // without Cores
	name   string          // without "Benchmark"
	values []goValue
}

type goValue struct {
	unit  string
	value float64
}

// readGo reads the text of go test -bench. A benchmark's lines are its rounds.
func readGo(name string, b []byte) (*Document, error) {
	d := newBuilder("go test", name)
	directions := goUnits()
	var bench []goLine
	conf := map[string]string{}
	err := lines(b, func(n int, line string) error {
		word, rest, _ := strings.Cut(line, " ")
		switch m := configLine.FindStringSubmatch(line); {
		case m != nil:
			conf[m[1]] = strings.TrimSpace(m[2])
		case word == "Unit" && strings.TrimSpace(rest) != "":
			return unitLine(n, rest, directions)
		case strings.HasPrefix(line, "--- FAIL: ") || strings.HasPrefix(line, "FAIL\t") || line == "FAIL" && len(d.doc.Failed) == 0:
			d.failed(strings.Join(strings.Fields(line), " "))
		default:
			x, err := benchLine(n, line)
			if err != nil {
				return err
			}
			if len(x.values) > 0 {
				x.pkg, x.hw = conf["pkg"], result.Hardware{CPUModel: conf["cpu"], ISA: strings.Trim(conf["goos"]+"/"+conf["goarch"], "/")}
				bench = append(bench, x)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(bench) == 0 && len(d.doc.Failed) == 0 {
		return nil, fmt.Errorf("%w: its benchmarks have no values", ErrFormat)
	}
	cores := stripCores(bench)
	for _, x := range bench {
		x.hw.Cores = cores
		c := d.cell(x.hw, x.name, "go test", x.pkg, x.name)
		if x.pkg != "" {
			c.point = map[string]string{"pkg": x.pkg}
		}
		for _, v := range x.values {
			if err := c.add(v.unit, v.unit, directions[v.unit], v.value); err != nil {
				return nil, fmt.Errorf("line %d: %w", x.line, err)
			}
		}
		c.next()
	}
	return d.doc, nil
}

// benchLine parses a line of a benchmark: name, iterations, then pairs of value and
// unit. Any other line has no values, and so has a name that stands alone, as go test
// -v prints.
func benchLine(n int, line string) (goLine, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(line, fields[0]) || !isBenchmark(fields[0]) {
		return goLine{}, nil
	}
	x := goLine{line: n, name: strings.TrimPrefix(fields[0], "Benchmark")}
	wrong := func(format string, args ...any) (goLine, error) {
		return goLine{}, fmt.Errorf("line %d: %.80s: %w: was the file cut off, or did the benchmark print something?", n, fields[0], fmt.Errorf(format, args...))
	}
	if i, err := strconv.ParseInt(fields[1], 10, 64); err != nil || i <= 0 {
		return wrong("%.40q is no number of iterations", fields[1])
	}
	if len(fields) < 4 || len(fields)%2 != 0 {
		return wrong("it wants pairs of a value and a unit after the number of iterations")
	}
	for i := 2; i < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return wrong("%.40q is no value", fields[i])
		}
		if slices.ContainsFunc(x.values, func(o goValue) bool { return o.unit == fields[i+1] }) {
			return wrong("it has two values in %.40s", fields[i+1])
		}
		x.values = append(x.values, goValue{fields[i+1], v})
	}
	return x, nil
}

// unitLine reads "Unit hits/op better=higher assume=exact".
func unitLine(n int, rest string, directions map[string]metric.Direction) error {
	fields := strings.Fields(rest)
	for _, f := range fields[1:] {
		key, value, ok := strings.Cut(f, "=")
		switch {
		case !ok:
			return nil // a sentence that begins with the word
		case key != "better":
		case value == "higher":
			directions[fields[0]] = metric.HigherIsBetter
		case value == "lower":
			directions[fields[0]] = metric.LowerIsBetter
		default:
			return fmt.Errorf("line %d: unit %s is better=%s: write better=higher or better=lower", n, fields[0], value)
		}
	}
	return nil
}

// stripCores takes the number of cores off the benchmarks' names where all of them end
// in the same: go test writes GOMAXPROCS there unless it is 1. Where they don't, the
// names stay whole and the number is 0: unknown.
func stripCores(bench []goLine) int {
	suffix := ""
	for i, x := range bench {
		at := strings.LastIndexByte(x.name, '-')
		if at < 0 || i > 0 && x.name[at:] != suffix {
			return 0
		}
		suffix = x.name[at:]
	}
	n, err := strconv.Atoi(strings.TrimPrefix(suffix, "-"))
	if err != nil || n < 2 {
		return 0
	}
	for i := range bench {
		bench[i].name = strings.TrimSuffix(bench[i].name, suffix)
	}
	return n
}
