package deploytest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Variables by which a test tells its recorder what to do.
const (
	recordTo = "DEPLOYTEST_RECORD" // file that gets one JSON line a call
	runEnds  = "DEPLOYTEST_EXIT"   // with what `run` ends; "wait": it waits for an interrupt
	badFile  = "DEPLOYTEST_BAD"    // set: `baseline import` refuses its file
)

// TestMain lets this test binary stand in for paceline: it records how it was called. What
// the action does with the real one, `make test-ci-example` shows.
func TestMain(m *testing.M) {
	if file := os.Getenv(recordTo); file != "" {
		os.Exit(record(file, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// call is a recorded call.
type call struct {
	Args  []string
	Token string
	Dir   string
}

func record(file string, args []string) int {
	dir, _ := os.Getwd()
	b, err := json.Marshal(call{args, os.Getenv("PACELINE_TOKEN"), dir})
	if err != nil {
		return 99
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 99
	}
	fmt.Fprintf(f, "%s\n", b)
	f.Close()
	switch {
	case args[0] == "baseline" && args[1] == "import" && os.Getenv(badFile) != "":
		return 2
	case args[0] == "baseline" && args[1] == "export":
		if os.WriteFile(args[2], []byte("a level"), 0o600) != nil {
			return 3
		}
	case args[0] == "run" && os.Getenv(runEnds) == "wait":
		stopped := make(chan os.Signal, 1)
		signal.Notify(stopped, os.Interrupt)
		fmt.Println("measuring")
		<-stopped
		return 5
	case args[0] == "run":
		code, _ := strconv.Atoi(os.Getenv(runEnds))
		return code
	}
	return 0
}

// workplace is a repository's CI: its jobs share a store, each has folders of its own.
type workplace struct {
	t      *testing.T
	action *Action
	store  *Store
	calls  []call // of the last job
}

func newWorkplace(t *testing.T) *workplace {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("skipped: no bash on this machine")
	}
	a, err := ReadAction(filepath.Join("..", "github-action"))
	if err != nil {
		t.Fatal(err)
	}
	return &workplace{t: t, action: a, store: &Store{t.TempDir()}}
}

// push and pull are the variables of a push to a branch, and of a pull request to main.
func push(branch string) map[string]string {
	return map[string]string{
		"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": branch, "GITHUB_REF_TYPE": "branch", "GITHUB_BASE_REF": "", "GITHUB_HEAD_REF": "",
		"GITHUB_REPOSITORY": "ada/teller", "GITHUB_SHA": "c0ffee", "GITHUB_RUN_ID": "1",
	}
}

func pull(branch string) map[string]string {
	m := push("7/merge")
	m["GITHUB_EVENT_NAME"], m["GITHUB_HEAD_REF"], m["GITHUB_BASE_REF"] = "pull_request", branch, "main"
	return m
}

func (w *workplace) run(github, inputs map[string]string, env ...string) *Result {
	w.t.Helper()
	return w.runCtx(w.t.Context(), nil, github, inputs, env...)
}

func (w *workplace) runCtx(ctx context.Context, line func(string), github, inputs map[string]string, env ...string) *Result {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]string{"suite": "bench.yml", "paceline": self}
	for k, v := range inputs {
		all[k] = v
	}
	calls := filepath.Join(w.t.TempDir(), "calls")
	// The runner gives every job the same folder, empty; what the cache keeps lies in it.
	temp := filepath.Join(w.store.Dir, "runner temp")
	if err := os.RemoveAll(temp); err != nil {
		w.t.Fatal(err)
	}
	j := Job{
		Action: w.action, Inputs: all, GitHub: github, Default: "main", Workspace: w.t.TempDir(), Temp: temp, Store: w.store,
		Env: append(env, recordTo+"="+calls), Line: line,
	}
	r, err := j.Run(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.calls = nil
	b, err := os.ReadFile(calls)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var c call
		if l != "" {
			if err := json.Unmarshal([]byte(l), &c); err != nil {
				w.t.Fatal(err)
			}
			w.calls = append(w.calls, c)
		}
	}
	return r
}

// did are the last job's commands, without those that only ask.
func (w *workplace) did() (names []string) {
	for _, c := range w.calls {
		switch c.Args[0] {
		case "version":
		case "baseline":
			names = append(names, c.Args[1])
		default:
			names = append(names, c.Args[0])
		}
	}
	return names
}

// args are those of the call of `run`.
func (w *workplace) args() []string {
	w.t.Helper()
	i := slices.IndexFunc(w.calls, func(c call) bool { return c.Args[0] == "run" })
	if i < 0 {
		w.t.Fatalf("nothing was measured; calls: %v", w.calls)
	}
	return w.calls[i].Args
}

// has says whether one of the arguments begins so.
func has(args []string, prefix string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, prefix) })
}

func (w *workplace) expect(r *Result, code int, did ...string) {
	w.t.Helper()
	if r.Code != code || !slices.Equal(w.did(), did) {
		w.t.Fatalf("exit %d (%s) after %q, want %d after %q\n%s", r.Code, r.Failed, w.did(), code, did, r.Log)
	}
}

// TestCacheMode: the base branch keeps its level in the cache, and a pull request is
// compared with it.
func TestCacheMode(t *testing.T) {
	w := newWorkplace(t)
	r := w.run(pull("early"), nil)
	w.expect(r, 0, "run") // before the base branch was ever measured
	if a := w.args(); has(a, "--baseline") || !slices.Contains(a, "--git=no") || !slices.Contains(a, "--base-ref=main") || !slices.Contains(a, "--commit=c0ffee") {
		t.Errorf("a first pull request: %q", a)
	}

	w.expect(w.run(push("main"), nil), 0, "run", "export")
	if a := w.args(); has(a, "--base-ref") || has(a, "--baseline") || !slices.Contains(a, "--branch=main") {
		t.Errorf("a push to main: %q", a)
	}
	second := push("main")
	second["GITHUB_RUN_ID"] = "2"
	w.expect(w.run(second, nil), 0, "import", "run", "export")
	keys, err := w.store.Keys()
	if err != nil || len(keys) != 2 || !regexp.MustCompile(`^paceline-baseline-1-Linux-X64-[0-9a-f]{16}-2-1$`).MatchString(keys[1]) {
		t.Errorf("cached: %q, %v", keys, err)
	}

	r = w.run(pull("feature"), nil)
	w.expect(r, 0, "import", "run")
	if a := w.args(); !has(a, "--baseline=/") || !slices.Contains(a, "--branch=feature") || !slices.Contains(a, "--base-ref=main") {
		t.Errorf("a pull request: %q", a)
	}
	if now, err := w.store.Keys(); err != nil || len(now) != 2 {
		t.Errorf("a pull request cached something: %q, %v", now, err)
	}
	w.expect(w.run(push("feature"), nil), 0, "import", "run") // another branch is a candidate too
	if a := w.args(); !slices.Contains(a, "--base-ref=main") {
		t.Errorf("a push to another branch: %q", a)
	}
	w.run(pull("feature"), map[string]string{"suite": "other.yml"})
	if a := w.args(); has(a, "--baseline") {
		t.Errorf("another suite got this one's baseline: %q", a)
	}
}

// TestExitCodes: the job ends as the run did, after the steps that keep what it found.
func TestExitCodes(t *testing.T) {
	w := newWorkplace(t)
	w.expect(w.run(push("main"), nil), 0, "run", "export")
	for ends, want := range map[string]int{"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "86": 3} {
		r := w.run(pull("x"), nil, runEnds+"="+ends)
		w.expect(r, want, "import", "run")
		if r.Outputs["exit-code"] != strconv.Itoa(want) || r.Outputs["report"] == "" {
			t.Errorf("%s: outputs %v", ends, r.Outputs)
		}
		if !slices.Contains(r.Ran, "Keep the reports") || want > 0 && r.Failed != "Verdict" {
			t.Errorf("%s: ran %q, failed %q", ends, r.Ran, r.Failed)
		}
	}
	failing := push("main")
	failing["GITHUB_RUN_ID"] = "3"
	w.expect(w.run(failing, nil, runEnds+"=1"), 1, "import", "run")
	if keys, err := w.store.Keys(); err != nil || len(keys) != 1 {
		t.Errorf("a failing base branch changed its baseline: %q, %v", keys, err)
	}
	w.expect(w.run(failing, map[string]string{"accept": "it does more now"}, runEnds+"=1"), 1, "import", "run", "accept", "export")
	if keys, err := w.store.Keys(); err != nil || len(keys) != 2 {
		t.Errorf("an accepted level is not kept: %q, %v", keys, err)
	}
	again := push("main")
	again["GITHUB_RUN_ID"] = "4"
	r := w.run(again, nil, badFile+"=1")
	w.expect(r, 0, "import", "run", "export")
	if !strings.Contains(r.Log, "::warning title=paceline::the cached baseline can't be used") {
		t.Errorf("a baseline that can't be read is not told:\n%s", r.Log)
	}
}

// TestHostileNames: what strangers may choose (branch names, and with them inputs that
// repeat them) is data everywhere.
func TestHostileNames(t *testing.T) {
	w := newWorkplace(t)
	const canary = "OWNED"
	for _, name := range []string{
		"x$(touch${IFS}" + canary + ")", "x`touch${IFS}" + canary + "`", "x;touch${IFS}" + canary + ";", `x";touch${IFS}` + canary + `;"`,
		`x';touch${IFS}` + canary + `;'`, "x&&touch${IFS}" + canary, "x|touch${IFS}" + canary, "${{github.token}}", "%0A::error::x", "-x", "--data=x",
		"x}}${{secrets.TOKEN}}",
	} {
		r := w.run(pull(name), map[string]string{
			"suite": name, "model": name, "build": name, "launch": name, "target": name, "base-ref": name, "args": "--where=" + name, "accept": name,
		})
		if slices.Contains(w.did(), "run") {
			for _, want := range []string{"--model=" + name, "--launch=" + name, "--target=" + name, "--base-ref=" + name, "--where=" + name} {
				if !slices.Contains(w.args(), want) {
					t.Errorf("%s: not among %q", want, w.args())
				}
			}
		} else {
			t.Errorf("%s: not measured: exit %d\n%s", name, r.Code, r.Log)
		}
		err := filepath.WalkDir(w.store.Dir, func(path string, d os.DirEntry, err error) error {
			if d != nil && d.Name() == canary {
				t.Errorf("%s was executed", name)
			}
			return err
		})
		if _, serr := os.Stat(filepath.Join(w.calls[0].Dir, canary)); err != nil || serr == nil {
			t.Errorf("%s was executed: %v", name, err)
		}
	}
	// A command of the runner in an input is text of an annotation, not a command.
	r := w.run(push("main"), map[string]string{"require-baseline": "x\n::add-mask::a\r::stop-commands::b"})
	for _, line := range strings.FieldsFunc(r.Log, func(c rune) bool { return c == '\n' || c == '\r' }) {
		if strings.HasPrefix(line, "::add-mask") || strings.HasPrefix(line, "::stop-commands") {
			t.Errorf("an input gave the runner a command: %q", line)
		}
	}
	if r.Code != 2 {
		t.Errorf("require-baseline of nonsense: exit %d", r.Code)
	}
	w.run(push("main"), map[string]string{"suite": "x\nexported=true", "args": "a\n\n b c \r\n--d='$e'"})
	if a := w.args(); !slices.Equal(a[len(a)-5:], []string{"a", " b c ", "--d='$e'", "--", "x\nexported=true"}) {
		t.Errorf("arguments one a line: %q", a)
	}
}

// TestScriptsTakeNoExpressions: no text of a script comes from outside.
func TestScriptsTakeNoExpressions(t *testing.T) {
	for _, s := range newWorkplace(t).action.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Errorf("step %q has an expression in its script: pass it by env", s.Name)
		}
	}
}

func TestCoordinatorMode(t *testing.T) {
	w := newWorkplace(t)
	in := map[string]string{"baseline": "coordinator", "coordinator": "https://paceline.example.com:7070", "token": "plt_secret"}
	r := w.run(push("main"), in)
	w.expect(r, 0, "run")
	if a := w.args(); !slices.Contains(a, "--coordinator=https://paceline.example.com:7070") || has(a, "--data") || has(a, "--base-ref") {
		t.Errorf("a push to main: %q", a)
	}
	// Only as the command that hides it, and only to the program that needs it.
	if n := strings.Count(r.Log, "plt_secret"); n != 1 || !strings.Contains(r.Log, "::add-mask::plt_secret\n") {
		t.Errorf("the token is printed %d times:\n%s", n, r.Log)
	}
	for _, c := range w.calls {
		if (c.Token != "") != (c.Args[0] == "run") || has(c.Args, "plt_") {
			t.Errorf("the token reaches %q as %q", c.Args, c.Token)
		}
	}
	w.expect(w.run(pull("feature"), in), 0, "run")
	if a := w.args(); !slices.Contains(a, "--base-ref=main") || has(a, "--git=no") {
		t.Errorf("a pull request: %q", a)
	}
	// A fork's branch of the base's name is no base.
	w.expect(w.run(pull("main"), in), 0, "run")
	if a := w.args(); !slices.Contains(a, "--branch=pull/7/merge") || !slices.Contains(a, "--base-ref=main") {
		t.Errorf("a fork's main: %q", a)
	}
	tag := push("main")
	tag["GITHUB_REF_TYPE"] = "tag"
	w.run(tag, in)
	if a := w.args(); !slices.Contains(a, "--base-ref=main") {
		t.Errorf("a tag of the base's name: %q", a)
	}
}

func TestFileMode(t *testing.T) {
	w := newWorkplace(t)
	for _, event := range []map[string]string{push("main"), pull("x")} {
		w.expect(w.run(event, map[string]string{"baseline": "bench/main.json", "inconclusive": "pass", "require-baseline": "true"}), 0, "import", "run")
		a := w.args()
		for _, want := range []string{"--baseline=bench/main.json", "--inconclusive=pass", "--require-baseline"} {
			if !slices.Contains(a, want) {
				t.Errorf("%s: not among %q", want, a)
			}
		}
	}
}

func TestBothSidesMode(t *testing.T) {
	w := newWorkplace(t)
	w.expect(w.run(pull("x"), map[string]string{"baseline": "ab", "build": "-head", "base-build": "base/server"}, runEnds+"=1"), 1, "run")
	a := w.args()
	if !slices.Equal(a[len(a)-4:], []string{"--", "bench.yml", "base/server", "-head"}) || !slices.Contains(a, "--ab") || has(a, "--branch") || has(a, "--base-ref") || has(a, "--build") {
		t.Errorf("called as %q", a)
	}
	if keys, err := w.store.Keys(); err != nil || len(keys) != 0 {
		t.Errorf("something is cached: %q, %v", keys, err)
	}
}

func TestBadInputs(t *testing.T) {
	w := newWorkplace(t)
	for _, c := range []struct {
		name   string
		inputs map[string]string
		code   int
		says   string
	}{
		{"a coordinator without its URL", map[string]string{"baseline": "coordinator", "token": "plt_x"}, 2, "the coordinator's URL"},
		{"no token, as in a fork", map[string]string{"baseline": "coordinator", "coordinator": "https://x"}, 2, "from forks: use baseline: cache"},
		{"a token with a line break", map[string]string{"baseline": "coordinator", "coordinator": "https://x", "token": "plt_a\nplt_b"}, 2, "the token alone"},
		{"a coordinator that isn't asked", map[string]string{"coordinator": "https://x"}, 2, "write baseline: coordinator"},
		{"one side of two", map[string]string{"baseline": "ab", "build": "x"}, 2, "both build and base-build"},
		{"a side too many", map[string]string{"base-build": "x"}, 2, "goes with baseline: ab"},
		{"no baseline", map[string]string{"baseline": ""}, 2, "write cache, coordinator"},
		{"accept of a file", map[string]string{"baseline": "x.json", "accept": "why"}, 2, "baseline accept"},
		{"no such paceline", map[string]string{"paceline": "/nowhere/paceline"}, 2, "no program at /nowhere/paceline"},
		{"a revision that is none", map[string]string{"paceline": "", "ref": "--upload-pack=x"}, 2, "a branch, a tag or a commit id"},
		{"a source that isn't there", map[string]string{"paceline": "", "ref": "main", "source": "/nowhere/at/all"}, 3, "can't be asked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			r := w.run(push("main"), c.inputs)
			if r.Code != c.code || !strings.Contains(r.Log, "::error title=paceline::") || !strings.Contains(r.Log, c.says) || slices.Contains(w.did(), "run") {
				t.Errorf("exit %d after %q, want %d and %q\n%s", r.Code, w.did(), c.code, c.says, r.Log)
			}
			if strings.Contains(r.Log, "plt_b") {
				t.Errorf("a token is printed:\n%s", r.Log)
			}
		})
	}
}

// TestBuildFromSource: a revision is fetched and built by its own Makefile, and once
// built it is taken from where the cache puts it.
func TestBuildFromSource(t *testing.T) {
	w := newWorkplace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	source := t.TempDir()
	for name, text := range map[string]string{"Makefile": "build:\n\tmkdir -p bin\n\tcp '" + self + "' bin/paceline\n"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "v1"}, {"add", "-A"}, {"-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-q", "-m", "x"}} {
		cmd := exec.Command("git", append([]string{"-C", source}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	r := w.run(push("main"), map[string]string{"paceline": "", "ref": "v1", "source": source})
	w.expect(r, 0, "run", "export")
	if !strings.Contains(r.Log, "::group::Build paceline") || len(r.Path) != 1 {
		t.Errorf("built? PATH gets %q\n%s", r.Path, r.Log)
	}
	r = w.run(push("main"), map[string]string{"paceline": "", "ref": "v2", "source": source})
	if r.Code != 3 || !strings.Contains(r.Log, "v2 can't be fetched from") {
		t.Errorf("a revision that isn't there: exit %d\n%s", r.Code, r.Log)
	}
}

// TestCancelledJob: the end of a job reaches paceline, which cancels its run.
func TestCancelledJob(t *testing.T) {
	w := newWorkplace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := w.runCtx(ctx, func(line string) {
		if line == "measuring" {
			cancel()
		}
	}, push("main"), nil, runEnds+"=wait")
	if r.Outputs["exit-code"] != "5" || slices.Contains(r.Ran, "Keep the reports") {
		t.Errorf("outputs %v, ran %q\n%s", r.Outputs, r.Ran, r.Log)
	}
}
