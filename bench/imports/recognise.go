package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// Recognise says what a file is. It looks at the outermost keys of JSON and at the
// first words of lines; that the rest is well formed is for the reader to find.
func Recognise(b []byte) Format {
	b = bytes.TrimSpace(text(b))
	switch {
	case len(b) == 0:
		return Unknown
	case b[0] == '{' || b[0] == '[':
		return recogniseJSON(b)
	case isHeader(firstLine(b)):
		return CSV
	case isSQL(b) || isLlamaHeader(firstLine(b)):
		return LlamaBench
	case hasBenchmark(b):
		return GoBench
	}
	return Unknown
}

// recogniseJSON looks at the keys of the first object, also where it is cut off.
func recogniseJSON(b []byte) Format {
	keys, kind := firstKeys(b)
	has := func(all ...string) bool {
		return !slices.ContainsFunc(all, func(k string) bool { return !slices.Contains(keys, k) })
	}
	switch {
	case has("aiperf_version"):
		return AIPerf
	case has("endpoint_type", "request_throughput") || has("num_prompts", "output_throughput"):
		return VLLM
	case has("metadata", "benchmarks"):
		return GuideLLM
	case has("load_summary", "successes"):
		return InferencePerf
	case has("num_concurrent_requests", "results_num_requests_started"):
		return LLMPerf
	case has("engine", "performance", "request_info"):
		return TRTLLM
	case has(llamaColumns()...):
		return LlamaBench
	case kind != "":
		return Baseline
	case has("schema") || has("run"):
		return Result
	case has("Action"):
		return goEvents
	case has("name") || has("value"):
		return JSON
	}
	if b[0] == '[' && bytes.Equal(bytes.TrimSpace(b[1:]), []byte("]")) {
		return JSON // no value at all, which the reader says
	}
	return Unknown
}

// firstKeys are the keys of the first object of a document, and its kind where that is
// a baseline's.
func firstKeys(b []byte) (keys []string, kind string) {
	dec := json.NewDecoder(bytes.NewReader(b))
	t, err := dec.Token()
	if t == json.Delim('[') && err == nil {
		t, err = dec.Token()
	}
	if err != nil || t != json.Delim('{') {
		return nil, ""
	}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			break
		}
		keys = append(keys, key)
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			break // cut off within: the keys so far say what it is
		}
		if key == "kind" && bytes.Equal(v, []byte(`"paceline.baseline"`)) {
			kind = "paceline.baseline"
		}
	}
	return keys, kind
}

// firstLine is the first line that isn't empty.
func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimSpace(string(line[:min(len(line), 1000)]))
}

// lines calls f with every line and its number, from 1.
func lines(b []byte, f func(n int, line string) error) error {
	r := bytes.NewBuffer(b)
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if line != "" {
			if err := f(n, strings.TrimRight(line, "\r\n")); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}
