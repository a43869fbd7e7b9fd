package imports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// Results of other tools. Their numbers become our metrics by what they measure and never by what they are called; what
// measures something that we have no metric for is kept under the tool's own name.
const (
	VLLM          Format = "result of vllm bench serve"
	AIPerf        Format = "result of AIPerf"
	GuideLLM      Format = "result of GuideLLM"
	InferencePerf Format = "result of inference-perf"
	LLMPerf       Format = "summary of llmperf"
	TRTLLM        Format = "report of trtllm-bench"
	LlamaBench    Format = "output of llama-bench"
)

// peers are the names of those tools, for people.
const peers = "vllm bench serve, AIPerf, GuideLLM, inference-perf, llmperf, trtllm-bench and llama-bench"

// numbers are a tool's fields that hold one, by path.
type numbers map[string]float64

// decode reads the only JSON value of a file.
func decode(b []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(to); err != nil {
		return cutOff(err)
	}
	if dec.More() {
		return fmt.Errorf("something follows the result")
	}
	return nil
}

// flatten gathers the numbers below a value. Lists are left out: they are single requests, of which the tool gives the
// statistics too.
func flatten(path string, v any, to numbers) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			if key == "pdf" || key == "percentile_cis" { // of GuideLLM: thousands of numbers that nobody compares
				continue
			}
			p := key
			if path != "" {
				p = path + "." + key
			}
			flatten(p, x, to)
		}
	case json.Number:
		if f, err := v.Float64(); err == nil {
			to[path] = f
		}
	}
}

// mapped says which metric a field is, and what a number of it is in our unit.
type mapped struct {
	path   string
	id     string
	factor float64
}

// stats maps a family of fields, one for each statistic; named gives the path of a statistic. A statistic that our metric
// doesn't have is left out.
func stats(name string, factor float64, named func(stat string) string, words map[string]string) (list []mapped) {
	for _, theirs := range slices.Sorted(maps.Keys(words)) {
		id := metric.ID(name + "." + words[theirs])
		if _, ok := id.Def(); ok {
			list = append(list, mapped{named(theirs), string(id), factor})
		}
	}
	return list
}

// put adds a file's numbers to a cell: those that are ours as ours, the others under the tool's name. Where two fields are
// one metric the first in the list is taken.
func (c *cell) put(tool string, n numbers, list []mapped) error {
	done, taken := map[string]bool{}, map[string]bool{}
	for _, m := range list {
		v, ok := n[m.path]
		if !ok || taken[m.id] {
			continue
		}
		taken[m.id], done[m.path] = true, true
		if err := c.add(m.id, "", metric.Neutral, v*m.factor); err != nil {
			return fmt.Errorf("field %s: %w", m.path, err)
		}
		c.b.from(c, m.id, m.path)
		if def, _ := metric.ID(m.id).Def(); def.Name != m.id && !strings.HasSuffix(m.id, ".p50") && !strings.HasSuffix(m.id, ".mean") {
			c.b.shown(c, m.id) // a tail of one run is no level to hold another against
		}
	}
	for _, path := range slices.Sorted(maps.Keys(n)) {
		if done[path] {
			continue
		}
		id := tool + "." + path
		if err := c.add(id, "", metric.Neutral, n[path]); err != nil {
			return fmt.Errorf("field %s: %w", path, err)
		}
		c.b.from(c, id, path)
		c.b.shown(c, id)
	}
	return nil
}

func (b *builder) shown(c *cell, id string) {
	if b.doc.Shown == nil {
		b.doc.Shown = map[Series]bool{}
	}
	b.doc.Shown[Series{c.digest, metric.ID(id)}] = true
}

func (b *builder) from(c *cell, id, field string) {
	if b.doc.From == nil {
		b.doc.From = map[Series]string{}
	}
	b.doc.From[Series{c.digest, metric.ID(id)}] = field
}

// setting is a cell of a tool's file: what it is called, and what tells it from others.
func (b *builder) setting(hw result.Hardware, tool, model string, point map[string]string) *cell {
	parts := []string{tool, model}
	for _, axis := range slices.Sorted(maps.Keys(point)) {
		if point[axis] == "" {
			delete(point, axis)
			continue
		}
		parts = append(parts, axis, point[axis])
	}
	c := b.cell(hw, tool, parts...)
	c.point = point
	return c
}

// share adds failed/all as our error rate.
func (n numbers) share(failed, all float64) {
	if all > 0 {
		n[errorShare] = failed / all
	}
}

// errorShare is the path of an error rate that was computed from counts.
const errorShare = "errors of requests"

// textOf is a number or a text of a configuration, as one; whole numbers without a point.
func textOf(v any) string {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
	case string:
		return v
	}
	return ""
}

// dig gives what lies at a path of keys; nil: nothing.
func dig(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// first is the first element of a list; nil: there is none.
func first(v any) any {
	if list, ok := v.([]any); ok && len(list) > 0 {
		return list[0]
	}
	return nil
}

// elements are those of a list that must not be empty.
func elements(v any, what string) ([]any, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("%w: it has no %s", ErrFormat, what)
	}
	return list, nil
}

// numbersOf gathers the numbers of a file; what the list maps must be numbers where it is there.
func numbersOf(v any, list []mapped) (numbers, error) {
	if err := mustBeNumbers(v, list); err != nil {
		return nil, err
	}
	n := numbers{}
	flatten("", v, n)
	return n, nil
}

// mustBeNumbers says which of the fields that a map names is there and no number.
func mustBeNumbers(v any, list []mapped) error {
	for _, m := range list {
		x := dig(v, strings.Split(m.path, ".")...)
		switch x.(type) {
		case nil, json.Number:
		default:
			return fmt.Errorf("field %s is %.40v: want a number", m.path, x)
		}
	}
	return nil
}

// readPeer reads a result of another tool.
func readPeer(f Format, name string, b []byte) (*Document, error) {
	switch f {
	case VLLM:
		return readVLLM(name, b)
	case AIPerf:
		return readAIPerf(name, b)
	case GuideLLM:
		return readGuideLLM(name, b)
	case InferencePerf:
		return readInferencePerf(name, b)
	case LLMPerf:
		return readLLMPerf(name, b)
	case TRTLLM:
		return readTRTLLM(name, b)
	}
	return readLlama(name, b)
}
