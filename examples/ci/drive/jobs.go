package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/deploy/deploytest"
)

// change is a commit and the job that CI makes of it.
type change struct {
	commit, subject string
	branch          string
	pull            bool   // a pull request to main; else a push
	main            string // what main is at that time
	want            int    // exit code
}

// history lists the repository's commits in the order in which they came.
func (d *drive) history(ctx context.Context) ([]change, error) {
	var out []change
	add := func(commits, branch, tip string) error {
		text, err := command(ctx, d.repo, "git", "log", "--reverse", "--first-parent", "--format=%H %s", commits)
		if err != nil {
			return err
		}
		for _, line := range strings.Split(text, "\n") {
			c := change{branch: branch, pull: branch != "main", main: tip}
			c.commit, c.subject, _ = strings.Cut(line, " ")
			if !c.pull {
				c.main = c.commit
			}
			out = append(out, c)
		}
		return nil
	}
	before, err := command(ctx, d.repo, "git", "rev-parse", "main^1")
	if err != nil {
		return nil, err
	}
	tip, err := command(ctx, d.repo, "git", "rev-parse", "main")
	if err != nil {
		return nil, err
	}
	for _, part := range []struct{ commits, branch, main string }{
		{before, "main", ""},
		{before + "..better-stories", "better-stories", before},
		{before + "..main", "main", ""},
		{"main..first-token", "first-token", tip},
	} {
		if err := add(part.commits, part.branch, part.main); err != nil {
			return nil, err
		}
	}
	for i := range out {
		switch {
		case strings.Contains(out[i].subject, "ten passes"):
			out[i].want = exitFail
		case out[i].branch == "first-token":
			out[i].want = exitRequest
		}
	}
	if n := slices.IndexFunc(out, func(c change) bool { return c.want == exitFail }); len(out) != 15 || n < 10 {
		return nil, fmt.Errorf("the example has %d commits, the slow one after %d: want 15, and ten before it", len(out), n)
	}
	return out, nil
}

// Modes of the action: where the baseline lies.
const (
	modeCache       = "cache"
	modeCoordinator = "coordinator"
	modeAB          = "ab" // nowhere: both sides are measured
)

// mode is one of them.
type mode struct {
	name, url, token string
}

// What is repeated on a machine that isn't quiet: pauses, because what disturbs it may
// end, and a bound on the time of all repeats together.
const (
	pause    = 15 * time.Second
	patience = 5 * time.Minute
)

// commits takes every commit through CI.
func (d *drive) commits(ctx context.Context, hs []change, m mode) error {
	for _, c := range hs {
		r := row{mode: m.name, commit: c.commit[:10], subject: c.subject, job: "push to main"}
		if c.pull {
			r.job = "pull request"
		}
		for {
			got, took, err := d.job(ctx, c, m)
			if err != nil {
				return err
			}
			r.exits = append(r.exits, got.Code)
			r.verdict, r.seconds = got.Outputs["verdict"], r.seconds+took.Seconds()
			if got.Code == c.want {
				break
			}
			proof := evidence(got.Log)
			ended := fmt.Sprintf("%s, %s %s: exit %d, want %d", m.name, r.commit, c.subject, got.Code, c.want)
			if got.Code != exitMachine && got.Code != exitInconclusive || len(proof) == 0 {
				d.wrong = append(d.wrong, ended)
				fmt.Println(indent(got.Log))
				break
			}
			if d.repeats > patience {
				d.undecided = append(d.undecided, ended+": "+proof[0])
				break
			}
			fmt.Printf("%-11s  %s  exit %d, repeated: %s\n", m.name, r.commit, got.Code, proof[0])
			d.repeats += took + pause
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
		d.add(r)
	}
	return nil
}

// teller is what the example's workflow gives to the action.
func teller() map[string]string {
	return map[string]string{"suite": "bench.yml", "build": "./teller", "launch": "{build} --port {port}", "target": "teller"}
}

// job is one CI job: a clone as actions/checkout makes it, the build, the action.
func (d *drive) job(ctx context.Context, c change, m mode) (*deploytest.Result, time.Duration, error) {
	d.runs++
	workspace, err := d.checkout(ctx, "workspace", c)
	if err != nil {
		return nil, 0, err
	}
	a, err := deploytest.ReadAction(d.action)
	if err != nil {
		return nil, 0, err
	}
	// The action cache knows files by their path, which is the same in every job.
	temp := filepath.Join(d.root, "runner")
	if err := os.RemoveAll(temp); err != nil {
		return nil, 0, err
	}
	j := deploytest.Job{
		Action: a, Default: "main", Workspace: workspace, Temp: temp, Store: &deploytest.Store{Dir: filepath.Join(d.root, "store-"+m.name)},
		Env:    []string{"TMPDIR=" + os.TempDir()},
		Inputs: teller(),
		GitHub: map[string]string{
			"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": c.branch, "GITHUB_REF_TYPE": "branch", "GITHUB_BASE_REF": "", "GITHUB_HEAD_REF": "",
			"GITHUB_REPOSITORY": "ada/teller", "GITHUB_SHA": c.commit, "GITHUB_RUN_ID": strconv.Itoa(d.runs),
		},
	}
	j.Inputs["paceline"] = d.paceline
	if c.pull {
		j.GitHub["GITHUB_EVENT_NAME"], j.GitHub["GITHUB_REF_NAME"] = "pull_request", "7/merge"
		j.GitHub["GITHUB_HEAD_REF"], j.GitHub["GITHUB_BASE_REF"] = c.branch, "main"
	}
	switch m.name {
	case modeAB:
		c.commit = c.main
		base, err := d.checkout(ctx, "base", c)
		if err != nil {
			return nil, 0, err
		}
		j.Inputs["baseline"], j.Inputs["base-build"] = "ab", filepath.Join(base, "teller")
	case modeCoordinator:
		j.Inputs["baseline"], j.Inputs["coordinator"], j.Inputs["token"] = "coordinator", m.url, m.token
	}
	if d.verbose {
		j.Line = func(line string) { fmt.Println("    " + line) }
	}
	start := time.Now()
	r, err := j.Run(ctx)
	if err != nil {
		return nil, 0, err
	}
	if r.Code == exitOK && r.Summary == "" {
		return nil, 0, fmt.Errorf("the job of %s wrote no summary", c.commit)
	}
	return r, time.Since(start), ctx.Err()
}

// checkout makes a clone with what the remote had when the commit came: its HEAD is
// detached, and main is known as origin's.
func (d *drive) checkout(ctx context.Context, name string, c change) (string, error) {
	dir := filepath.Join(d.root, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"git", "clone", "--quiet", "--no-checkout", d.repo, dir},
		{"git", "-C", dir, "checkout", "--quiet", "--detach", c.commit},
		{"git", "-C", dir, "branch", "--quiet", "-D", "main"},
		{"git", "-C", dir, "update-ref", "refs/remotes/origin/main", c.main},
	} {
		if _, err := command(ctx, ".", args...); err != nil {
			return "", err
		}
	}
	_, err := command(ctx, dir, "go", "build", "-o", "teller", ".")
	return dir, err
}

// evidence are the lines by which a run says that the machine was not itself.
func evidence(log string) (lines []string) {
	said := regexp.MustCompile(`round \d+ is invalid: |machine probe cpu\.|had a load of|client_lag|stolen|one-sided 95 %`)
	for _, line := range strings.Split(log, "\n") {
		line = strings.TrimSpace(line)
		if said.MatchString(line) && !slices.Contains(lines, line) && !strings.HasPrefix(line, "::") && !strings.HasPrefix(line, "round 1 of") {
			lines = append(lines, line)
		}
	}
	return lines
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
