package deploytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Job is one use of an action by a job.
type Job struct {
	Action    *Action
	Inputs    map[string]string
	GitHub    map[string]string // variables of the job: GITHUB_REF_NAME, …
	Default   string            // the repository's default branch
	Workspace string            // where the repository is checked out
	Temp      string            // RUNNER_TEMP, which the job finds empty
	Store     *Store
	Env       []string          // of every step, besides what the runner sets
	Line      func(line string) // takes each line that a step prints; nil: nobody
}

// Result is how a job ended.
type Result struct {
	Code    int               // of the first step that failed; 0
	Failed  string            // its name
	Outputs map[string]string // of the action
	Log     string            // all that was printed
	Summary string            // Markdown of the job's summary
	Path    []string          // folders that were added to PATH
	Ran     []string          // names of the steps that ran
}

// Run runs the action's steps. An error is a fault of the action's metadata or of this
// machine; that a step failed is no error. The end of ctx interrupts the step under way,
// as a runner does with a job that is cancelled.
func (j *Job) Run(ctx context.Context) (*Result, error) {
	s, err := j.scope()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Temp, 0o755); err != nil {
		return nil, fmt.Errorf("make the job's folder: %w", err)
	}
	r := &Result{Outputs: map[string]string{}}
	for i, step := range j.Action.Runs.Steps {
		s.cancelled = ctx.Err() != nil
		runs, err := s.condition(step.If)
		if err != nil {
			return nil, fmt.Errorf("step %q: %w", step.Name, err)
		}
		if !runs {
			continue
		}
		r.Ran = append(r.Ran, step.Name)
		if step.Uses != "" {
			err = j.service(s, step)
		} else {
			err = j.step(ctx, s, i, step, r)
		}
		if err != nil {
			return nil, fmt.Errorf("step %q: %w", step.Name, err)
		}
		s.failed = r.Failed != ""
	}
	for name, o := range j.Action.Outputs {
		if r.Outputs[name], err = s.expand(o.Value); err != nil {
			return nil, fmt.Errorf("output %s: %w", name, err)
		}
	}
	return r, nil
}

// scope has everything that expressions may name.
func (j *Job) scope() (scope, error) {
	s := scope{known: map[string]bool{}, values: map[string]string{
		"runner.os": "Linux", "runner.arch": "X64", "runner.temp": j.Temp,
		"github.run_id": j.GitHub["GITHUB_RUN_ID"], "github.run_attempt": "1",
		"github.event.repository.default_branch": j.Default,
	}}
	for name, in := range j.Action.Inputs {
		v, given := j.Inputs[name]
		if !given {
			v = in.Default
		}
		if in.Required && v == "" {
			return s, fmt.Errorf("input %s is required", name)
		}
		s.values["inputs."+name] = v
	}
	for name := range j.Inputs {
		if _, ok := j.Action.Inputs[name]; !ok {
			return s, fmt.Errorf("the action has no input %q: it has %s", name, strings.Join(slices.Sorted(maps.Keys(j.Action.Inputs)), ", "))
		}
	}
	// Outputs that no step has set are empty; which ones a step may set, its script knows.
	for _, text := range j.Action.texts() {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n{}()!=&|'\"/", r) }) {
			if parts := strings.Split(word, "."); len(parts) == 4 && parts[0] == "steps" && parts[2] == "outputs" && j.Action.hasStep(parts[1]) {
				s.known[word] = true
			}
		}
	}
	return s, nil
}

// texts are all values of the action that may hold expressions.
func (a *Action) texts() []string {
	var out []string
	for _, s := range a.Runs.Steps {
		out = append(out, s.If, s.Run, s.WorkingDirectory)
		out = append(out, slices.Collect(maps.Values(s.With))...)
		out = append(out, slices.Collect(maps.Values(s.Env))...)
	}
	for _, o := range a.Outputs {
		out = append(out, o.Value)
	}
	return out
}

func (a *Action) hasStep(id string) bool {
	return slices.ContainsFunc(a.Runs.Steps, func(s Step) bool { return s.ID == id })
}

// step runs a script as a runner does: its text in a file, its variables beside it.
func (j *Job) step(ctx context.Context, s scope, i int, step Step, r *Result) error {
	text, err := s.expand(step.Run)
	if err != nil {
		return err
	}
	dir, err := s.expand(step.WorkingDirectory)
	if err != nil {
		return err
	}
	if dir = filepath.Join(j.Workspace, dir); step.WorkingDirectory == "" {
		dir = j.Workspace
	}
	files, err := os.MkdirTemp(j.Temp, fmt.Sprintf("_step%d-*", i+1))
	if err != nil {
		return err
	}
	script := filepath.Join(files, "script.sh")
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return err
	}
	env := append(slices.Clone(j.Env), "CI=true", "GITHUB_ACTIONS=true", "RUNNER_TEMP="+j.Temp, "RUNNER_OS=Linux", "RUNNER_ARCH=X64",
		"GITHUB_WORKSPACE="+j.Workspace, "GITHUB_ACTION_PATH="+j.Action.Dir)
	for _, name := range []string{"OUTPUT", "STEP_SUMMARY", "ENV", "PATH"} {
		file := filepath.Join(files, strings.ToLower(name))
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
		env = append(env, "GITHUB_"+name+"="+file)
	}
	for name, v := range j.GitHub {
		env = append(env, name+"="+v)
	}
	for name, v := range step.Env {
		if v, err = s.expand(v); err != nil {
			return err
		}
		env = append(env, name+"="+v)
	}
	path := os.Getenv("PATH")
	for _, p := range r.Path {
		path = p + string(os.PathListSeparator) + path
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
	cmd.Dir, cmd.Env = dir, append(env, "PATH="+path, "HOME="+os.Getenv("HOME"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	code, err := j.execute(ctx, cmd, r)
	if err != nil {
		return err
	}
	if code != 0 && r.Failed == "" {
		r.Code, r.Failed = code, step.Name
	}
	return j.collect(s, files, step.ID, r)
}

// grace is how long a step may take to end once it was interrupted: a runner gives it
// 7.5 seconds, then a harder signal and 2.5 more.
const grace = 10 * time.Second

// execute runs a command, hands on what it prints line by line, and gives its exit code.
// The end of ctx interrupts the command's first process alone, as a runner does.
func (j *Job) execute(ctx context.Context, cmd *exec.Cmd, r *Result) (code int, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return 0, err
	}
	_ = write.Close()
	over := make(chan struct{})
	var interrupter sync.WaitGroup
	interrupter.Go(func() {
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-over:
		case <-time.After(grace):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	defer interrupter.Wait()
	defer close(over)
	lines := bufio.NewReader(read)
	for {
		line, rerr := lines.ReadString('\n')
		r.Log += line
		if line != "" && j.Line != nil {
			j.Line(strings.TrimRight(line, "\r\n"))
		}
		if rerr != nil {
			if !errors.Is(rerr, io.EOF) {
				err = rerr
			}
			break
		}
	}
	werr := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err != nil:
		return 0, err
	case werr != nil && !errors.As(werr, &exit):
		return 0, werr
	}
	return cmd.ProcessState.ExitCode(), nil
}

// collect takes what a step wrote for the runner.
func (j *Job) collect(s scope, files, id string, r *Result) error {
	b, err := os.ReadFile(filepath.Join(files, "output"))
	if err != nil {
		return err
	}
	outputs, err := parseOutputs(string(b))
	if err != nil {
		return err
	}
	for name, v := range outputs {
		s.values["steps."+id+".outputs."+name] = v
	}
	if b, err = os.ReadFile(filepath.Join(files, "step_summary")); err != nil {
		return err
	}
	r.Summary += string(b)
	if b, err = os.ReadFile(filepath.Join(files, "path")); err != nil {
		return err
	}
	r.Path = append(r.Path, strings.FieldsFunc(string(b), func(c rune) bool { return c == '\n' })...)
	return nil
}

// parseOutputs reads NAME=VALUE and NAME<<END … END, as a runner does.
func parseOutputs(text string) (map[string]string, error) {
	out := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" {
			continue
		}
		if name, v, ok := strings.Cut(line, "="); ok && !strings.Contains(name, "<<") {
			out[name] = v
			continue
		}
		name, end, ok := strings.Cut(line, "<<")
		n := slices.Index(lines[i+1:], end)
		if !ok || n < 0 {
			return nil, fmt.Errorf("an output is neither NAME=VALUE nor NAME<<END with its END: %q", line)
		}
		out[name] = strings.Join(lines[i+1:i+1+n], "\n")
		i += n + 1
	}
	return out, nil
}
