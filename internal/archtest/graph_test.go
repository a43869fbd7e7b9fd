package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/paceline/paceline"

// pkg is what the rules need to know of a package. Paths of ours are relative to
// the module ("judge/gate"); others are whole.
type pkg struct {
	imports []string // direct, without the standard library
	module  string   // of a third-party package: its module
	ours    bool
	dir     string
	files   []string // Go files of this flavour, tests not among them
}

// graph is every package in the closure of the module in one flavour.
type graph map[string]*pkg

// closure is everything that a package reaches, itself not among it.
func (g graph) closure(path string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		node, ok := g[p]
		if !ok {
			return
		}
		for _, i := range node.imports {
			if !seen[i] {
				seen[i] = true
				walk(i)
			}
		}
	}
	walk(path)
	return seen
}

// ours lists the module's own packages, sorted.
func (g graph) ours() []string {
	var out []string
	for path, p := range g {
		if p.ours {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// within says whether a path is a folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func withinAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(path, f) })
}

var flavours = map[string][]string{"plain": nil, "native": {"-tags", "native"}}

var loadOnce = sync.OnceValues(func() (map[string]graph, error) {
	graphs := map[string]graph{}
	for name, args := range flavours {
		g, err := list(args)
		if err != nil {
			return nil, err
		}
		graphs[name] = g
	}
	return graphs, nil
})

// load gives the graph of each flavour.
func load(t *testing.T) map[string]graph {
	t.Helper()
	graphs, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return graphs
}

func list(args []string) (graph, error) {
	cmd := exec.Command("go", append(append([]string{"list", "-e", "-deps", "-json=ImportPath,Imports,Standard,Module,Dir,GoFiles,CgoFiles"}, args...), "./...")...)
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir            string
			Imports, GoFiles, CgoFiles []string
			Standard                   bool
			Module                     *struct{ Path string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, err
		}
		if p.Standard {
			continue
		}
		node := &pkg{dir: p.Dir, files: append(p.GoFiles, p.CgoFiles...)}
		if p.Module != nil {
			node.module = p.Module.Path
			node.ours = p.Module.Path == module
		}
		for _, i := range p.Imports {
			if first, _, _ := strings.Cut(i, "/"); strings.Contains(first, ".") {
				node.imports = append(node.imports, relative(i))
			}
		}
		g[relative(p.ImportPath)] = node
	}
}

func relative(path string) string { return strings.TrimPrefix(path, module+"/") }

func root() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}
