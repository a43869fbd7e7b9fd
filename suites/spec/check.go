package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
)

// Validate reads the suite and reports all that is wrong with it, as Problems with
// paths. It changes nothing. Parse has done it for what it returns.
func (s *Suite) Validate() error {
	if p := s.check(); len(p) > 0 {
		return p
	}
	return nil
}

// checker collects problems by path.
type checker struct{ problems Problems }

func (c *checker) add(path, what, found, wanted string) {
	c.problems = append(c.problems, Problem{Path: path, What: what, Found: found, Wanted: wanted})
}

// between reports a number out of range.
func between[T int | float64](c *checker, path string, v, low, high T) {
	if v < low || v > high {
		c.add(path, key(path)+" is out of range", fmt.Sprint(v), fmt.Sprintf("%v to %v", low, high))
	}
}

func (c *checker) span(path string, v, low time.Duration) {
	if v < low || v > maxSpan {
		c.add(path, key(path)+" is out of range", v.String(), fmt.Sprintf("%v to %v", low, maxSpan))
	}
}

func (c *checker) word(path, v string, known ...string) {
	if !slices.Contains(known, v) {
		c.problems = append(c.problems, Problem{
			Path: path, What: "unknown " + key(path), Found: orNothing(v), Wanted: strings.Join(known, ", "),
			DidYouMean: metric.Nearest(v, known),
		})
	}
}

// key is what messages call a path: its last two parts, since "count" alone says
// little.
func key(path string) string {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return path
	}
	return path[strings.LastIndexByte(path[:i], '.')+1:]
}

// name checks a name of the suite's own: lower case, so that it can be a file's.
func (c *checker) name(path, v string) {
	if v == "" {
		c.add(path, key(path)+" is missing", "", "lower-case letters, digits and dashes")
	} else if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(v) {
		c.add(path, key(path)+" is not a name", orNothing(v), "lower-case letters, digits and dashes, at most 63")
	}
}

// listed checks a name of the agent's catalogue. It is never a path or an address.
func (c *checker) listed(path, v string) {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`).MatchString(v) {
		c.add(path, key(path)+" is not a name of the catalogue", orNothing(v),
			"letters, digits, dots, dashes and underscores: where it lies is the agent's configuration")
	}
}

func (s *Suite) check() Problems {
	c := &checker{}
	c.name("metadata.name", s.Name)
	for _, k := range sortedKeys(s.Labels) {
		if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`).MatchString(k) {
			c.add("metadata.labels."+k, "a label's name is not usable", orNothing(k), "letters, digits, dots, slashes, dashes and underscores, at most 63")
		}
	}
	c.listed("spec.model", s.Model)
	if len(s.Targets) == 0 {
		c.add("spec.targets", "there is no target", "", "at least one name, such as engine")
	}
	for i, t := range s.Targets {
		c.listed(at("spec.targets", i), t)
		if slices.Contains(s.Targets[:i], t) {
			c.add(at("spec.targets", i), "target "+strconv.Quote(t)+" appears twice", "", "")
		}
	}
	between(c, "spec.rounds", s.Rounds, 1, maxRounds)
	if len(s.Workloads) == 0 {
		c.add("spec.workloads", "there is no workload", "", "at least one")
	}
	first := map[string]int{}
	for i := range s.Workloads {
		w, path := &s.Workloads[i], at("spec.workloads", i)
		c.workload(path, w, s.short())
		if j, twice := first[w.Name]; twice && w.Name != "" {
			c.add(path+".name", fmt.Sprintf("workload %q appears twice", w.Name), fmt.Sprintf("workloads %d and %d", j+1, i+1), "a name of its own")
		} else {
			first[w.Name] = i
		}
	}
	if len(c.problems) == 0 {
		s.checkVariants(c)
		s.checkCells(c)
	}
	return c.problems
}

// short says whether two trials a round are enough: the suite is for every commit.
func (s *Suite) short() bool { return s.Name == "ci" || s.Labels["tier"] == "ci" }

// checkCells reports too many cells, and workloads that measure the same thing:
// their results would be one series, measured twice a round.
func (s *Suite) checkCells(c *checker) {
	total := 0
	owner := map[string]int{}
	for i := range s.Workloads {
		n := len(s.Targets)
		for _, a := range s.Workloads[i].Matrix {
			n *= len(a.Values)
			if n > maxCells {
				break
			}
		}
		if total += n; total > maxCells {
			c.add(at("spec.workloads", i), "the suite has too many cells", "more than "+strconv.Itoa(maxCells), "at most "+strconv.Itoa(maxCells))
			return
		}
		for _, p := range s.Workloads[i].points() {
			d := cellDigest(p.workload)
			if j, taken := owner[d]; taken && j != i {
				c.add(at("spec.workloads", i), fmt.Sprintf("workload %q measures the same cell as %q", s.Workloads[i].Name, s.Workloads[j].Name), "",
					"one workload with the gates of both, or another request, data, load, warm-up or window")
				break
			}
			owner[d] = i
		}
	}
}

func (c *checker) workload(path string, w *Workload, short bool) {
	c.name(path+".name", w.Name)
	c.request(path+".request", &w.Request)
	c.data(path, w)
	c.load(path, w)
	u := &w.Warmup
	c.word(path+".warmup.mode", u.Mode, words("warmup.mode")...)
	between(c, path+".warmup.requests", u.Requests, 0, maxRequests)
	if u.Mode == "until_stable" {
		between(c, path+".warmup.cv", u.CV, 0.001, 1)
	}
	c.span(path+".warmup.max", u.Max, 0)
	if u.Mode == "none" && w.Request.Cache == "shared" && w.Data.Type == "synthetic" {
		c.add(path+".warmup.mode", "nothing fills the prefix cache that this workload shares", u.Mode, "requests, or cache: bust")
	}
	least := 3
	if short {
		least = 2
	}
	between(c, path+".trials.count", w.Trials.Count, least, maxTrials)
	v := &w.Window
	c.span(path+".window.min_duration", v.MinDuration, 0)
	between(c, path+".window.min_requests", v.MinRequests, 1, maxRequests)
	c.span(path+".window.max", v.Max, time.Second)
	if v.Max < v.MinDuration {
		c.add(path+".window.max", "the window's max is less than its min_duration", v.Max.String(), "at least "+v.MinDuration.String())
	}
	y := &w.Validity
	c.span(path+".validity.max_client_lag_p99", y.MaxClientLagP99, time.Microsecond)
	between(c, path+".validity.max_client_cpu", y.MaxClientCPU, 0.001, 1000)
	between(c, path+".validity.max_error_rate", y.MaxErrorRate, 0, 1)
	between(c, path+".validity.max_osl_errors", y.MaxOSLErrors, 0, 1)
	between(c, path+".validity.max_steal", y.MaxSteal, 0, 1)
	between(c, path+".validity.min_delivered", y.MinDelivered, 0, 1)
	between(c, path+".validity.noise_floor", y.NoiseFloor, 0, 1000)
	between(c, path+".cancel.rate", w.Cancel.Rate, 0, 1)
	between(c, path+".cancel.after_tokens", w.Cancel.AfterTokens, 0, maxTokens)
	if w.Cancel.Rate > 0 && w.Cancel.AfterTokens >= w.Request.MaxTokens {
		c.add(path+".cancel.after_tokens", "a cancellation after the last token cancels nothing", strconv.Itoa(w.Cancel.AfterTokens),
			fmt.Sprintf("less than max_tokens (%d)", w.Request.MaxTokens))
	}
	c.slo(path+".slo", w.SLO)
	c.fit(path, w)
	c.collect(path, w)
	for i := range w.Gates {
		c.gate(at(path+".gates", i), w, i)
	}
	for i, b := range w.Bands {
		p := at(path+".bands", i)
		if b.Metric == "" {
			c.add(p+".metric", "the band's metric is missing", "", "metric: a name")
		}
		if b.Label == "" {
			c.add(p, "the band's label is missing", "", "label: who reported it")
		}
		if b.Low > b.High {
			c.add(p, "the band's low is above its high", fmt.Sprint(b.Low), fmt.Sprintf("at most %v", b.High))
		}
	}
}

func (c *checker) request(path string, q *Request) {
	c.word(path+".api", q.API, words("request.api")...)
	between(c, path+".max_tokens", q.MaxTokens, 1, maxTokens)
	between(c, path+".temperature", q.Temperature, 0, 10)
	if q.TopP <= 0 || q.TopP > 1 {
		c.add(path+".top_p", "top_p is out of range", fmt.Sprint(q.TopP), "more than 0, at most 1")
	}
	between(c, path+".top_k", q.TopK, 0, maxTokens)
	c.word(path+".cache", q.Cache, words("request.cache")...)
	if q.NoKV && q.Cache == "shared" {
		c.add(path+".kv_cache", "without a KV cache there is no prefix to share", "off, with cache: shared", "on, or cache: bust")
	}
}

func (c *checker) data(path string, w *Workload) {
	d, p := &w.Data, path+".data"
	if d.Type == "" {
		c.add(p, "the workload's data is missing", "", "data: with type prompt, synthetic or dataset")
		return
	}
	if known := words("data.type"); !slices.Contains(known, d.Type) {
		c.word(p+".type", d.Type, known...)
		return
	}
	other := func(set bool, name, kind string) {
		if set && d.Type != kind {
			c.add(p+"."+name, name+" doesn't belong to data of type "+strconv.Quote(d.Type), "", "type: "+kind)
		}
	}
	other(len(d.Prompts) > 0, "prompts", "prompt")
	other(d.ISL != 0, "isl", "synthetic")
	other(d.Tail != 0, "tail", "synthetic")
	other(d.Dataset != "", "dataset", "dataset")
	other(d.Digest != "", "digest", "dataset")
	switch d.Type {
	case "prompt":
		if len(d.Prompts) == 0 {
			c.add(p+".prompts", "there is no prompt", "", "at least one")
		}
		for i, t := range d.Prompts {
			if t == "" {
				c.add(at(p+".prompts", i), "the prompt is empty", "", "a text")
			}
		}
	case "synthetic":
		if !w.hasAxis("isl") {
			between(c, p+".isl", d.ISL, 1, maxTokens)
		}
		c.tail(p+".tail", w)
	case "dataset":
		c.listed(p+".dataset", d.Dataset)
		if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(d.Digest) {
			c.add(p+".digest", "the data set's digest is missing or malformed", orNothing(d.Digest), "sha256: and 64 hexadecimal digits")
		}
	}
}

func (w *Workload) hasAxis(name string) bool {
	return slices.ContainsFunc(w.Matrix, func(a Axis) bool { return a.Name == name })
}
