package spec

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
)

// anyElement ends the path of a list's elements in an outline.
const anyElement = "[]"

// outline is the format as its reader knows it: the reader walks through itself without a document and tells what it
// would read where. A nil outline is that of a reader with a document.
type outline struct{ nodes map[string]*schema }

// schema is a JSON Schema (draft 2020-12), as far as suites need one.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a name, or several
	Enum        []string           `json:"enum,omitempty"`
	Const       string             `json:"const,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	MaxItems    int                `json:"maxItems,omitempty"`
	Default     any                `json:"default,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or what they are
	Items       *schema            `json:"items,omitempty"`
}

// Schema is the JSON Schema of a suite, made from what reads one. Editors that know YAML complete and explain by it; what
// depends on more than one key (a rate belongs to an open load) only Parse says.
func Schema() []byte {
	o := &outline{nodes: map[string]*schema{}}
	r := &reader{places: map[string]place{}, bad: map[string]bool{}, outline: o}
	r.suite(nil)
	root := o.nodes[""]
	root.Schema, root.ID = "https://json-schema.org/draft/2020-12/schema", "https://paceline.dev/schema/suite/v1"
	root.Title = "Paceline suite, " + APIVersion
	for path, n := range o.nodes {
		n.Description = explanation(path)
		n.Required = required(path)
		o.hang(path, n)
	}
	o.nodes["apiVersion"].Const, o.nodes["kind"].Const = APIVersion, "Suite"
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("spec: the schema has only strings and numbers: " + err.Error())
	}
	return append(b, '\n')
}

// hang puts a node into the one around it.
func (o *outline) hang(path string, n *schema) {
	if path == "" {
		return
	}
	if list, ok := strings.CutSuffix(path, anyElement); ok {
		o.nodes[list].Items = n
		return
	}
	around, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		around, name = path[:i], path[i+1:]
	}
	o.nodes[around].Properties[name] = n
}

func (o *outline) object(path string) {
	o.nodes[path] = &schema{Type: "object", Properties: map[string]*schema{}, Additional: false}
}

func (o *outline) array(path string, limit int) {
	o.nodes[path] = &schema{Type: "array", MaxItems: limit}
}

// leaf notes a value of a kind, and its default where that says something; false without an outline.
func (o *outline) leaf(path, kind string, otherwise any) bool {
	if o == nil {
		return false
	}
	n := &schema{Type: kind, Enum: words(inWorkload(path)), Default: otherwise}
	switch kind {
	case "duration":
		n.Type, n.Pattern = "string", `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`
	case "integer":
		n.Minimum = new(0)
	case "metric":
		n.Type, n.Enum = "string", ids()
	case "labels":
		n.Type, n.Additional = "object", &schema{Type: "string"}
	}
	if slices.Contains([]any{"", 0, 0.0, uint64(0), false, "0s"}, otherwise) {
		n.Default = nil
	}
	o.nodes[path] = n
	return true
}

// ids are all metrics, each by its name, which means its first statistic, and with each statistic.
func ids() (all []string) {
	for _, def := range metric.Table() {
		all = append(all, def.Name)
		for _, s := range def.Stats {
			if id := string(def.ID(s)); id != def.Name {
				all = append(all, id)
			}
		}
	}
	return all
}

// inWorkload is a path's part within a workload, or within the defaults of all, without places in lists.
func inWorkload(path string) string {
	path = strings.ReplaceAll(path, anyElement, "")
	for _, around := range []string{"spec.workloads.", "spec.defaults."} {
		if rest, ok := strings.CutPrefix(path, around); ok {
			return rest
		}
	}
	return path
}

// required are the keys that an object can't do without.
func required(path string) []string {
	switch inWorkload(path) {
	case "":
		return []string{"apiVersion", "kind", "metadata", "spec"}
	case "metadata":
		return []string{"name"}
	case "spec":
		return []string{"workloads"}
	case "spec.workloads":
		if strings.HasSuffix(path, anyElement) {
			return []string{"name", "data"}
		}
	case "gates", "bands", "speedups":
		if strings.HasSuffix(path, anyElement) {
			return []string{"metric"}
		}
	}
	return nil
}

// words are the values that a key may have, where they are few; by its path in a workload.
func words(path string) []string {
	return map[string][]string{
		"request.api":      {"chat", "completion"},
		"request.cache":    {"bust", "shared"},
		"request.kv_cache": {"on", "off"},
		"data.type":        {"prompt", "synthetic", "dataset"},
		"load.type":        {"sequential", "closed", "constant", "poisson", "gamma", "burst"},
		"warmup.mode":      {"until_stable", "requests", "none"},
		"fit":              {"isl"},
		"collect":          {"leak"},
		"gates.severity":   {string(Investigate), string(Fail), string(Critical)},
	}[path]
}
