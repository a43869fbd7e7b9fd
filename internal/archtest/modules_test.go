package archtest

import (
	"fmt"
	"slices"
	"testing"
)

// outside is a third-party module, the packages that may import it and why it is
// here.
type outside struct {
	module string
	in     []string
	why    string
}

func modules() []outside {
	return []outside{
		{"github.com/spf13/cobra", []string{"cmd/paceline"}, "subcommands, help and completion"},
		{"github.com/goccy/go-yaml", []string{"suites/spec", "cmd/paceline", "deploy/deploytest"}, "YAML with positions for messages; one parser for suites and configuration"},
		{"github.com/invopop/jsonschema", []string{"bench/result"}, "the result file's schema from its Go types"},
		{"github.com/daulet/tokenizers", []string{"engine/token"}, "the tokenizer that the models were trained with"},
		{"github.com/nikolalohinski/gonja/v2", []string{"engine/token"}, "chat templates are Jinja"},
		{"github.com/ebitengine/purego", []string{"engine/cuda/driver"}, "NVIDIA's driver and compiler, opened at run time without cgo"},
		{"github.com/NVIDIA/go-nvml", []string{"bench/probe/nvml"}, "NVIDIA's own binding of its management library"},
		{"github.com/nats-io/nats-server/v2", []string{"internal/bus"}, "the embedded message server"},
		{"github.com/nats-io/nats.go", []string{"internal/bus"}, "its client"},
		{"github.com/nats-io/nkeys", []string{"internal/bus"}, "the agents' keys, as that server checks them"},
		{"github.com/klauspost/compress", []string{"internal/wire", "coordinator/ledger/sqlite"}, "zstd of batches and of stored rounds"},
		{"github.com/google/go-cmp", []string{"coordinator/ledger/ledgertest", "coordinator/series/seriestest"}, "differences in conformance suites"},
		{"modernc.org/sqlite", []string{"coordinator/ledger/sqlite"}, "SQLite without cgo"},
		{"github.com/pressly/goose/v3", []string{"coordinator/ledger"}, "migrations of both databases"},
		{"github.com/influxdata/influxdb-client-go/v2", []string{"coordinator/series/influx"}, "InfluxDB's own client"},
		{"github.com/gin-gonic/gin", []string{"coordinator/api", "dashboard"}, "HTTP routing"},
		{"github.com/danielgtaylor/huma/v2", []string{"coordinator/api"}, "OpenAPI, validation and handlers from one description"},
		{"github.com/go-echarts/go-echarts/v2", []string{"dashboard/chart"}, "charts"},
		{"golang.org/x/sys", []string{"bench/probe/host", "bench/calibrate", "engine/cpu", "engine/model", "cmd/paceline"}, "system calls that the standard library lacks"},
		{"golang.org/x/term", []string{"cmd/paceline"}, "whether standard output is a terminal, and its width"},
		{"golang.org/x/text", []string{"engine/token"}, "Unicode normal forms"},
	}
}

// checkModules reports imports of outside modules that the table doesn't allow.
func checkModules(g graph, table []outside) []string {
	var out []string
	for _, path := range g.ours() {
		for _, i := range g[path].imports {
			dep := g[i]
			if dep == nil || dep.ours || dep.module == "" {
				continue
			}
			at := slices.IndexFunc(table, func(o outside) bool { return o.module == dep.module })
			switch {
			case at < 0:
				out = append(out, fmt.Sprintf("%s imports %s: module %s has no row in the table (with a reason) that lets it in", path, i, dep.module))
			case !withinAny(path, table[at].in):
				out = append(out, fmt.Sprintf("%s imports %s: it enters through %v only", path, i, table[at].in))
			}
		}
	}
	return out
}

func TestModules(t *testing.T) {
	for flavour, g := range load(t) {
		for _, v := range checkModules(g, modules()) {
			t.Errorf("%s: %s", flavour, v)
		}
	}
	for _, o := range modules() {
		if o.why == "" || len(o.in) == 0 {
			t.Errorf("module %s has no reason or no place", o.module)
		}
	}
}

func TestModulesReportPlantedViolations(t *testing.T) {
	g := graph{
		"judge/gate":               {ours: true, imports: []string{"github.com/gin-gonic/gin", "example.com/left-pad"}},
		"github.com/gin-gonic/gin": {module: "github.com/gin-gonic/gin"},
		"example.com/left-pad":     {module: "example.com/left-pad"},
	}
	if got := checkModules(g, modules()); len(got) != 2 {
		t.Errorf("two planted, reported %v", got)
	}
}
