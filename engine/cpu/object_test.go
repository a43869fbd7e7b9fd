//go:build native

package cpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// architecture is how to read the object code of one. The expressions are for
// objdump's lines, without addresses and raw bytes.
type architecture struct {
	goarch, triple string
	multiply       *regexp.Regexp // what a tile is there for
	store          *regexp.Regexp // of a vector; group 1 is the register that addresses
	frame          *regexp.Regexp // group 1 is a register that is set to point into the stack
	stack          string         // the register that always does
	call           *regexp.Regexp
	jump           *regexp.Regexp // group 1 is the address where it goes
}

func architectures() map[string]architecture {
	return map[string]architecture{
		"amd64": {
			goarch: "amd64", triple: "x86_64-linux-gnu", stack: "rsp",
			multiply: regexp.MustCompile(`^(vfn?madd|vdpb|vpdpb|vpmadd|mulp)`),
			store:    regexp.MustCompile(`^v?mov\w+\s+%[xyz]mm\d+,[^(]*\(%(\w+)`),
			frame:    regexp.MustCompile(`^(?:mov\s+%rsp,|lea\s+[^(]*\(%rsp[^)]*\),)%(\w+)`),
			call:     regexp.MustCompile(`^call`),
			jump:     regexp.MustCompile(`^j\w+\s+([0-9a-f]+)`),
		},
		"arm64": {
			goarch: "arm64", triple: "aarch64-linux-gnu", stack: "sp",
			multiply: regexp.MustCompile(`^(fmla|fmul|[su]dot|usdot|bfdot|bfmmla|smmla|smlal|smull)`),
			store:    regexp.MustCompile(`^st\w+\s+(?:[qdv]\d|\{)[^\[]*\[(\w+)`),
			frame:    regexp.MustCompile(`^(?:mov|add)\s+(\w+), sp\b`),
			call:     regexp.MustCompile(`^blr?\s`),
			jump:     regexp.MustCompile(`^(?:b|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\w+,)\s+([0-9a-f]+)\s`),
		},
	}
}

// instruction is one of a function, in order of address.
type instruction struct {
	at   uint64
	text string
}

// disassemble compiles a C file as cgo does and gives the code of each function. It
// skips the test where the tools for the architecture are missing.
func disassemble(t *testing.T, a architecture, file string) map[string][]instruction {
	t.Helper()
	cc, objdump := a.triple+"-gcc", a.triple+"-objdump"
	if a.goarch == runtime.GOARCH {
		cc = "gcc"
		if set := os.Getenv("CC"); set != "" {
			cc = set
		}
		if _, err := exec.LookPath(objdump); err != nil {
			objdump = "objdump"
		}
	}
	for _, tool := range []string{cc, objdump} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: no %s on this machine; make test-arm64 installs what arm64 needs", tool)
		}
	}
	// go test keeps results until a file changes that the test itself has opened.
	if _, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(t.TempDir(), "code.o")
	if out, err := exec.Command(cc, "-std=c11", "-O2", "-O3", "-c", "-o", object, file).CombinedOutput(); err != nil {
		t.Fatalf("compile %s with %s: %v\n%s", file, cc, err, out)
	}
	out, err := exec.Command(objdump, "-d", "-w", "--no-show-raw-insn", object).Output()
	if err != nil {
		t.Fatalf("disassemble %s with %s: %v", file, objdump, err)
	}
	functions, name := map[string][]instruction{}, ""
	head := regexp.MustCompile(`^[0-9a-f]+ <(\w+)[^>]*>:$`)
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if m := head.FindStringSubmatch(line); m != nil {
			name = m[1]
			continue
		}
		address, text, ok := strings.Cut(line, ":\t")
		at, err := strconv.ParseUint(address, 16, 64)
		if ok && err == nil {
			functions[name] = append(functions[name], instruction{at, text})
		}
	}
	return functions
}

// loops are the stretches of code that a backward jump repeats, that multiply, and
// that call nothing: the loops that are a product's and not those around them.
func (a architecture) loops(code []instruction) [][]instruction {
	var found [][]instruction
	for end, i := range code {
		m := a.jump.FindStringSubmatch(i.text)
		if m == nil {
			continue
		}
		target, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil || target > i.at || target < code[0].at {
			continue
		}
		start := end
		for code[start].at > target {
			start--
		}
		loop := code[start : end+1]
		if a.count(loop, a.multiply) > 0 && a.count(loop, a.call) == 0 {
			found = append(found, loop)
		}
	}
	return found
}

func (a architecture) count(code []instruction, what *regexp.Regexp) int {
	n := 0
	for _, i := range code {
		if what.MatchString(i.text) {
			n++
		}
	}
	return n
}

// unrolled is the multiplications of a function's largest loop, 0 without one.
func (a architecture) unrolled(code []instruction) int {
	most := 0
	for _, loop := range a.loops(code) {
		most = max(most, a.count(loop, a.multiply))
	}
	return most
}

// spills are the stores of vectors on the stack in the loops of a function.
func (a architecture) spills(code []instruction) []string {
	onStack := map[string]bool{a.stack: true}
	for _, i := range code {
		if m := a.frame.FindStringSubmatch(i.text); m != nil {
			onStack[m[1]] = true
		}
	}
	var found []string
	for _, loop := range a.loops(code) {
		for _, i := range loop {
			if m := a.store.FindStringSubmatch(i.text); m != nil && onStack[m[1]] {
				found = append(found, i.text)
			}
		}
	}
	return found
}
