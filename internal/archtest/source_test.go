package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	maxInterfaceMethods = 10
	maxFileLines        = 500
)

// source is a parsed file of ours.
type source struct {
	path string // relative to the module
	file *ast.File
	fset *token.FileSet
}

func (s source) at(p token.Pos) string {
	pos := s.fset.Position(p)
	return fmt.Sprintf("%s:%d", s.path, pos.Line)
}

// badNames say nothing about what a package provides.
func badNames() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared"}
}

// excused are package variables that must be, with the reason.
func excused() map[string]string {
	return map[string]string{"cmd/paceline/main.go version": "the linker writes it (-X)"}
}

// checkSource reports what no file may contain.
func checkSource(s source) []string {
	var out []string
	if slices.Contains(badNames(), s.file.Name.Name) {
		out = append(out, fmt.Sprintf("%s: package %s: a package is named for what it provides", s.path, s.file.Name.Name))
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				out = append(out, s.at(d.Pos())+": init: registration is explicit, by a function that somebody calls")
			}
		case *ast.GenDecl:
			for _, sp := range d.Specs {
				switch sp := sp.(type) {
				case *ast.TypeSpec:
					if it, ok := sp.Type.(*ast.InterfaceType); ok && sp.Name.IsExported() && methods(it) > maxInterfaceMethods {
						out = append(out, fmt.Sprintf("%s: interface %s has %d methods: at most %d", s.at(sp.Pos()), sp.Name, methods(it), maxInterfaceMethods))
					}
				case *ast.ValueSpec:
					if d.Tok == token.VAR && !constant(d, sp) && excused()[s.path+" "+sp.Names[0].Name] == "" {
						out = append(out, fmt.Sprintf("%s: package variable %s: state belongs to a value that somebody owns", s.at(sp.Pos()), sp.Names[0]))
					}
				}
			}
		}
	}
	return out
}

func methods(it *ast.InterfaceType) int {
	n := 0
	for _, m := range it.Methods.List {
		n += max(1, len(m.Names))
	}
	return n
}

// constant says whether a package variable is one that Go can't write as
// a constant: an embedded file, a sentinel error, a compiled pattern or template,
// an assertion.
func constant(d *ast.GenDecl, sp *ast.ValueSpec) bool {
	if sp.Names[0].Name == "_" {
		return true
	}
	for _, doc := range []*ast.CommentGroup{d.Doc, sp.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") }) {
			return true
		}
	}
	if len(sp.Values) != 1 {
		return false
	}
	if alias, ok := sp.Values[0].(*ast.SelectorExpr); ok && strings.HasPrefix(alias.Sel.Name, "Err") {
		return true // a neighbour's sentinel under this package's name
	}
	call, ok := sp.Values[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "sync.OnceValue", "sync.OnceValues"}, x.Name+"."+sel.Sel.Name)
}

// sources parses every Go file of ours that is neither a test nor generated.
func sources(t *testing.T) (files []source, tests []string) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root(), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root() && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(root(), path)
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, rel)
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, source{filepath.ToSlash(rel), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, tests
}

func TestSources(t *testing.T) {
	files, _ := sources(t)
	documented := map[string]bool{}
	for _, s := range files {
		if ast.IsGenerated(s.file) {
			continue
		}
		for _, v := range checkSource(s) {
			t.Error(v)
		}
		if n := s.fset.File(s.file.Pos()).LineCount(); n > maxFileLines {
			t.Errorf("%s has %d lines: split it by idea (at most %d)", s.path, n, maxFileLines)
		}
		dir := filepath.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: say what it is for and what it leaves to its neighbours", dir)
		}
	}
}

func TestSourcesReportPlantedViolations(t *testing.T) {
	for _, c := range []struct{ name, src string }{
		{"bad package name", "package util"},
		{"init", "package p\nfunc init() {}"},
		{"mutable variable", "package p\nvar cache = map[string]int{}"},
		{"wide interface", "package p\ntype I interface{A();B();C();D();E();F();G();H();J();K();L()}"},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", c.src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkSource(source{"p.go", f, fset}); len(got) != 1 {
			t.Errorf("%s: reported %v", c.name, got)
		}
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", "package p\nimport \"errors\"\nvar ErrX = errors.New(\"x\")\nvar _ I = T{}\n", parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkSource(source{"p.go", f, fset}); len(got) != 0 {
		t.Errorf("reported without cause: %v", got)
	}
}

// suite is a conformance suite and who has to call it.
type suite struct {
	iface string // package.Name of the interface
	test  string // package of the suite
	impl  []string
}

func suites() []suite {
	return []suite{
		{"internal/bus.Bus", "internal/bus/bustest", []string{"internal/bus"}},
		{"engine/backend.Backend", "engine/backend/backendtest", []string{"engine/ref", "engine/cpu"}},
		{"bench/target.Target", "bench/target/targettest", []string{"bench/target/null", "bench/target/engine", "bench/target/openai", "bench/target/server"}},
		{"internal/wire worker protocol", "worker/workertest", []string{"cmd/paceline"}},
		{"coordinator/series.Series", "coordinator/series/seriestest", []string{"coordinator/series/sql", "coordinator/series/influx"}},
		{"coordinator/ledger", "coordinator/ledger/ledgertest", []string{"coordinator/ledger/sqlite"}},
	}
}

// TestConformance finds that each implementation's tests call the suite of its
// interface.
func TestConformance(t *testing.T) {
	_, tests := sources(t)
	for _, s := range suites() {
		for _, impl := range s.impl {
			called := slices.ContainsFunc(tests, func(name string) bool {
				if filepath.ToSlash(filepath.Dir(name)) != impl {
					return false
				}
				b, err := os.ReadFile(filepath.Join(root(), name))
				return err == nil && strings.Contains(string(b), `"`+module+"/"+s.test+`"`)
			})
			if !called {
				t.Errorf("%s implements %s, but none of its tests imports %s", impl, s.iface, s.test)
			}
		}
	}
}
