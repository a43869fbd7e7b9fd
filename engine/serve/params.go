package serve

import (
	"slices"
	"strings"
)

// api is one of the two ways to ask for a completion.
type api string

const (
	chatAPI       api = "chat"
	completionAPI api = "completion"
)

// understood are the parameters that do something.
func (a api) understood() []string {
	both := []string{
		"cache_prompt", "frequency_penalty", "ignore_eos", "logit_bias", "logprobs", "max_tokens", "min_tokens", "model", "n",
		"presence_penalty", "repetition_penalty", "seed", "stop", "stop_token_ids", "stream", "stream_options",
		"temperature", "top_k", "top_p",
	}
	if a == chatAPI {
		return append(both, "chat_template_kwargs", "max_completion_tokens", "messages", "top_logprobs")
	}
	return append(both, "echo", "prompt")
}

// harmless are parameters that clients send and that change nothing of an answer.
func harmless() []string {
	return []string{"metadata", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "user"}
}

// off are OpenAI's and common servers' parameters that this engine doesn't have, with
// the values, as JSON, that ask for nothing: only those are taken.
func off() map[string][]string {
	return map[string][]string{
		"audio":              nil,
		"best_of":            {"1"},
		"echo":               {"false"},
		"function_call":      {`"none"`, `"auto"`},
		"functions":          {"[]"},
		"guided_json":        nil,
		"min_p":              {"0"},
		"modalities":         {`["text"]`},
		"prediction":         nil,
		"reasoning_effort":   nil,
		"response_format":    {`{"type":"text"}`},
		"service_tier":       {`"auto"`, `"default"`},
		"store":              {"false"},
		"suffix":             {`""`},
		"tool_choice":        {`"none"`, `"auto"`},
		"tools":              {"[]"},
		"top_logprobs":       {"0"},
		"verbosity":          nil,
		"web_search_options": nil,
	}
}

// checkNames refuses parameters that would otherwise do nothing.
func (a api) checkNames(o *object) {
	known, without := a.understood(), off()
	for _, name := range o.names() {
		values, isOff := without[name]
		switch {
		case slices.Contains(known, name), slices.Contains(harmless(), name):
		case isOff && o.is(name, values):
		case isOff && len(values) > 0:
			f := refuse(name, "%s: not supported here: leave it out, or give %s", name, strings.Join(values, " or "))
			f.code = "unsupported_parameter"
			o.fail(f)
		case isOff:
			f := refuse(name, "%s: not supported here: leave it out", name)
			f.code = "unsupported_parameter"
			o.fail(f)
		default:
			all := append(slices.Clone(known), harmless()...)
			for n := range without {
				all = append(all, n)
			}
			o.fail(unknown(name, all))
		}
	}
}

// unknown is the failure of a name that nobody knows.
func unknown(name string, known []string) *failure {
	slices.Sort(known)
	f := refuse(name, "unknown parameter %q", shown([]byte(name)))
	if near := nearest(name, known); near != "" {
		f.message += ": did you mean " + near + "?"
	}
	f.code = "unknown_parameter"
	return f
}

// nearest gives the candidate with the fewest edits from s, or "" where all have more than
// max(2, a third of s).
func nearest(s string, candidates []string) string {
	best, most := "", max(2, len(s)/3)
	for _, c := range candidates {
		if len(s)-len(c) > most || len(c)-len(s) > most {
			continue
		}
		if d := edits(s, c); d < most || d == most && best == "" {
			best, most = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
