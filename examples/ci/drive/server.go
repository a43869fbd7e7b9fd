package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// lease is how long the coordinator waits for an agent that is silent.
const lease = 15 * time.Second

// process is a running paceline whose standard error is read line by line.
type process struct {
	cmd   *exec.Cmd
	lines chan string // closed at the end
	said  strings.Builder
}

func (d *drive) start(ctx context.Context, dir string, env []string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, d.paceline, args...), lines: make(chan string, 1000)}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(pipe); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default: // nobody reads any more
			}
		}
	}()
	return p, nil
}

// waitFor reads until a line has the text.
func (p *process) waitFor(text string) (string, error) {
	limit := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return "", fmt.Errorf("%s ended before it said %q:\n%s", strings.Join(p.cmd.Args, " "), text, p.said.String())
			}
			p.said.WriteString(line + "\n")
			if strings.Contains(line, text) {
				return line, nil
			}
		case <-limit:
			return "", fmt.Errorf("%s never said %q:\n%s", strings.Join(p.cmd.Args, " "), text, p.said.String())
		}
	}
}

// wait gives the exit code, and adds the rest of what was said.
func (p *process) wait() int {
	for line := range p.lines {
		p.said.WriteString(line + "\n")
	}
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.wait()
}

// server is a coordinator on the loopback.
type server struct {
	*process
	data, url, token string
}

func (s *server) stop() { s.kill() }

func (d *drive) startServer(ctx context.Context) (*server, error) {
	s := &server{data: filepath.Join(d.root, "coordinator")}
	var err error
	if s.process, err = d.start(ctx, d.root, nil, "coordinator", "--data", s.data, "--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--lease", lease.String()); err != nil {
		return nil, err
	}
	if _, err = s.waitFor("ready · "); err != nil {
		return nil, err
	}
	found := regexp.MustCompile(`coordinator +(\S+)`).FindStringSubmatch(s.said.String())
	if found == nil {
		return nil, fmt.Errorf("the coordinator doesn't say where it is:\n%s", s.said.String())
	}
	s.url = found[1]
	s.token, err = command(ctx, d.root, d.paceline, "token", "create", "--scope", "submit", "--name", "ci", "--data", s.data)
	return s, err
}

// unquiet measures what main is beside two busy loops a core. Whatever the verdict, it
// comes with its evidence, and it is never that the build is slower: the baseline's rounds
// say what the machine is like.
func (d *drive) unquiet(ctx context.Context, c change, m mode) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range 4 {
		cmd := exec.CommandContext(ctx, self, "-spin")
		alive, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { _ = alive.Close(); _ = cmd.Wait() }()
	}
	c.branch, c.pull = "unquiet", true
	got, took, err := d.job(ctx, c, m)
	if err != nil {
		return err
	}
	d.add(row{mode: m.name, commit: c.commit[:10], subject: "the same beside four busy loops", job: "pull request", verdict: got.Outputs["verdict"], exits: []int{got.Code}, seconds: took.Seconds()})
	proof := evidence(got.Log)
	fmt.Println(indent(strings.Join(proof, "\n")))
	if got.Code != exitOK && got.Code != exitMachine && got.Code != exitInconclusive || len(proof) == 0 {
		d.wrong = append(d.wrong, fmt.Sprintf("beside busy loops: exit %d with %d lines of evidence, want 3 or 4 (or 0) with some\n%s", got.Code, len(proof), indent(got.Log)))
	}
	return nil
}

// killedAgent measures on a machine of the fleet that is gone in the middle.
func (d *drive) killedAgent(ctx context.Context, s *server, c change) error {
	workspace, err := d.checkout(ctx, "workspace", c)
	if err != nil {
		return err
	}
	secret, err := command(ctx, d.root, d.paceline, "token", "create", "--enrol", "--data", s.data)
	if err != nil {
		return err
	}
	state := filepath.Join(d.root, "agent")
	if _, err := command(ctx, d.root, d.paceline, "agent", "enrol", s.url, secret, "--state", state, "--name", "box1", "--label", "pool=ci"); err != nil {
		return err
	}
	recipe := fmt.Sprintf("targets:\n  teller:\n    driver: openai\n    launch: {args: [%q, --port, \"{port}\"]}\n", filepath.Join(workspace, "teller"))
	if err := os.WriteFile(filepath.Join(state, "agent.yml"), []byte(recipe), 0o600); err != nil {
		return err
	}
	agent, err := d.start(ctx, d.root, nil, "agent", "--state", state)
	if err != nil {
		return err
	}
	defer agent.kill()
	if _, err := agent.waitFor("is ready"); err != nil {
		return err
	}
	start := time.Now()
	p, err := d.start(ctx, workspace, []string{"PACELINE_TOKEN=" + s.token}, "run", "bench.yml", "--coordinator", s.url, "--any", "--where", "pool=ci", "--wait",
		"--target", "teller", "--rounds", "30", "--git=no", "--commit", c.commit, "--branch", "main")
	if err != nil {
		return err
	}
	defer p.kill()
	if _, err := p.waitFor("trial 1"); err != nil {
		return err
	}
	if err := agent.cmd.Process.Kill(); err != nil {
		return err
	}
	code := p.wait()
	d.runs++
	d.add(row{mode: "coordinator", commit: c.commit[:10], subject: "its agent is killed", job: "run --any", verdict: "error", exits: []int{code}, seconds: time.Since(start).Seconds()})
	if code != exitMachine {
		d.wrong = append(d.wrong, fmt.Sprintf("a killed agent: exit %d, want 3\n%s", code, indent(p.said.String())))
	}
	return nil
}

// overhead says how long Paceline itself takes in a job: from its start to the first
// request, and from the last trial's end to its own.
func (d *drive) overhead(ctx context.Context, c change) error {
	workspace, err := d.checkout(ctx, "workspace", c)
	if err != nil {
		return err
	}
	out := filepath.Join(d.root, "overhead.json")
	start := time.Now()
	p, err := d.start(ctx, workspace, nil, "run", "bench.yml", "--data", filepath.Join(d.root, "overhead"), "--build", "./teller", "--launch", "{build} --port {port}",
		"--target", "teller", "--git=no", "--branch", "main", "--commit", c.commit, "--out", out)
	if err != nil {
		return err
	}
	defer p.kill()
	stages := []string{"machine probe", "starting", "first request"}
	var at []time.Duration
	for _, stage := range stages {
		if _, err := p.waitFor(stage); err != nil {
			return err
		}
		at = append(at, time.Since(start))
	}
	code := p.wait()
	end := time.Now()
	d.runs++
	text, err := os.ReadFile(out)
	if err != nil {
		return fmt.Errorf("a run to measure the overhead: exit %d: %w\n%s", code, err, p.said.String())
	}
	var doc result.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	var last time.Time
	for _, r := range doc.Rounds {
		for _, cell := range r.Cells {
			for _, t := range cell.Trials {
				if e := t.Started.Add(time.Duration(t.WindowNanos)); e.After(last) {
					last = e
				}
			}
		}
	}
	fmt.Printf("\nwhat paceline adds to a job (%d rounds, exit %d): %.2f s from its start to the first request (%.2f s to the machine probe, %.2f s to the server's start), %.2f s from the last trial's end to its own\n",
		len(doc.Rounds), code, at[2].Seconds(), at[0].Seconds(), at[1].Seconds(), end.Sub(last).Seconds())
	return nil
}
