package output

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// Measured is the JSON line that our own driver prints.
type Measured struct {
	Value         float64 `json:"value"` // in the unit of the kind
	BytesPerToken float64 `json:"bytes_per_token,omitempty"`
	NeededBytes   float64 `json:"needed_bytes,omitempty"`
	Note          string  `json:"note,omitempty"`
	Unsupported   string  `json:"unsupported,omitempty"` // why this build or machine can't; then nothing else is set
}

func engine(_ plan.Task, out []byte) (Reading, error) {
	var m Measured
	if err := decode(lastLine(out), &m); err != nil {
		return Reading{}, err
	}
	if m.Unsupported != "" {
		return Reading{}, fmt.Errorf("%w: %s", ErrUnsupported, m.Unsupported)
	}
	return Reading{m.Value, m.BytesPerToken, m.NeededBytes, m.Note}, nil
}

// llamaBench reads `llama-bench -o json`: a list with one test.
func llamaBench(t plan.Task, out []byte) (Reading, error) {
	var tests []struct {
		Commit  string  `json:"build_commit"`
		Type    string  `json:"model_type"`
		TypeK   string  `json:"type_k"`
		Threads int     `json:"n_threads"`
		Prompt  int     `json:"n_prompt"`
		Gen     int     `json:"n_gen"`
		Rate    float64 `json:"avg_ts"`
	}
	if err := decode(out, &tests); err != nil {
		return Reading{}, err
	}
	if len(tests) != 1 {
		return Reading{}, fmt.Errorf("it has %d tests and not one", len(tests))
	}
	b := tests[0]
	wantPrompt, wantGen := t.Prompt, 0
	if t.Kind == plan.Decode {
		wantPrompt, wantGen = 0, t.Decode
	}
	if b.Prompt != wantPrompt || b.Gen != wantGen {
		return Reading{}, fmt.Errorf("it measured a prompt of %d and %d tokens, not %d and %d", b.Prompt, b.Gen, wantPrompt, wantGen)
	}
	return Reading{Value: b.Rate, Note: fmt.Sprintf("llama.cpp %s, %s, KV %s, %d threads", b.Commit, b.Type, b.TypeK, b.Threads)}, nil
}

// llamaBatched reads `llama-batched-bench --output-format jsonl`: among other lines, one
// that is an object.
func llamaBatched(t plan.Task, out []byte) (Reading, error) {
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var b struct {
			Streams int     `json:"pl"`
			Decode  int     `json:"tg"`
			Threads int     `json:"n_threads"`
			Rate    float64 `json:"speed_tg"`
		}
		if err := json.Unmarshal(line, &b); err != nil {
			return Reading{}, fmt.Errorf("%w in %s", err, quote(line))
		}
		if b.Streams != t.Streams || b.Decode != t.Decode {
			return Reading{}, fmt.Errorf("it measured %d streams of %d tokens, not %d of %d", b.Streams, b.Decode, t.Streams, t.Decode)
		}
		return Reading{Value: b.Rate, Note: fmt.Sprintf("%d threads", b.Threads)}, nil
	}
	return Reading{}, fmt.Errorf("no line is an object; it printed %s", quote(out))
}

// rates reads the line of build/peers' own programs for candle and transformers.
func rates(t plan.Task, out []byte) (Reading, error) {
	var r struct {
		Versions     string  `json:"versions"`
		PromptTokens int     `json:"prompt_tokens"`
		DecodeTokens int     `json:"decode_tokens"`
		Prefill      float64 `json:"prefill_tok_per_s"`
		Decode       float64 `json:"decode_tok_per_s"`
	}
	if err := decode(lastLine(out), &r); err != nil {
		return Reading{}, err
	}
	switch {
	case t.Kind == plan.Decode && r.DecodeTokens == t.Decode:
		return Reading{Value: r.Decode, Note: r.Versions}, nil
	case t.Kind == plan.Prefill && r.PromptTokens == t.Prompt:
		return Reading{Value: r.Prefill, Note: r.Versions}, nil
	}
	return Reading{}, fmt.Errorf("it measured a prompt of %d and %d tokens, which is another task", r.PromptTokens, r.DecodeTokens)
}
