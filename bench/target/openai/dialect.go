package openai

import (
	"fmt"
	"strings"

	"github.com/paceline/paceline/bench/metric"
)

// Dialect is what a server understands beyond OpenAI's own fields. A field that it
// doesn't know is never sent: some servers refuse a request for it, others ignore it
// and give another length than was asked for.
type Dialect struct {
	Name      string
	owners    []string // "owned_by" in its list of models, by which it is recognised
	ignoreEOS bool     // ignore_eos
	minTokens bool     // min_tokens
	topK      bool     // top_k
	noCache   bool     // cache_prompt: false
	version   string   // path whose JSON names the build; empty: there is none
	versionIn string   // its key
}

// dialects is the table. What a server is not known to understand is left out.
func dialects() []Dialect {
	return []Dialect{
		{Name: "plain"},
		{Name: "paceline", owners: []string{"paceline"}, ignoreEOS: true, minTokens: true, topK: true, noCache: true, version: "/version", versionIn: "build"},
		{Name: "vllm", owners: []string{"vllm"}, ignoreEOS: true, minTokens: true, topK: true, version: "/version", versionIn: "version"},
		{Name: "sglang", owners: []string{"sglang"}, ignoreEOS: true, minTokens: true, topK: true, version: "/get_server_info", versionIn: "version"},
		{Name: "llamacpp", owners: []string{"llamacpp"}, ignoreEOS: true, topK: true, noCache: true, version: "/props", versionIn: "build_info"},
		{Name: "trtllm", owners: []string{"tensorrt_llm"}, ignoreEOS: true, minTokens: true, topK: true, version: "/version", versionIn: "version"},
	}
}

// Dialects are the names that DialectOf knows.
func Dialects() []string {
	all := dialects()
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = d.Name
	}
	return out
}

// DialectOf finds a dialect by its name.
func DialectOf(name string) (Dialect, error) {
	for _, d := range dialects() {
		if d.Name == name {
			return d, nil
		}
	}
	err := fmt.Errorf("unknown dialect %q: known are %s", name, strings.Join(Dialects(), ", "))
	if near := metric.Nearest(name, Dialects()); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return Dialect{}, err
}

// dialectOwning finds the dialect whose servers call themselves owner in their list
// of models; plain where nobody does.
func dialectOwning(owner string) Dialect {
	all := dialects()
	for _, d := range all {
		for _, o := range d.owners {
			if strings.EqualFold(o, owner) {
				return d
			}
		}
	}
	return all[0]
}
