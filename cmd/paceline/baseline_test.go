//go:build native

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/format"
)

// in runs a command in a folder.
func in(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return startIn(t, dir, args...).wait(t)
}

// recorded is a data folder with one run of branch main, and its level as a file.
func recorded(t *testing.T) (data, file string) {
	t.Helper()
	data, file = t.TempDir(), filepath.Join(t.TempDir(), "main.json")
	paceline(t, "run", quick(t), "--data", data, "--branch", "main", "--commit", "c1").expect(t, 0, "NOTHING WAS COMPARED")
	paceline(t, "baseline", "export", file, "--data", data).expect(t, 0, "exported 1 run of branch main, suite quick")
	return data, file
}

func rewrite(t *testing.T, file string, change func(string) string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "changed.json")
	if err := os.WriteFile(out, []byte(change(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func reportOf(t *testing.T, o outcome) format.Report {
	t.Helper()
	var rep format.Report
	if err := json.Unmarshal([]byte(o.stdout), &rep); err != nil {
		t.Fatalf("%v\n%s\n%s", err, o.stdout, o.stderr)
	}
	return rep
}

// TestBaselineFiles: a level leaves one machine and is compared with on another.
func TestBaselineFiles(t *testing.T) {
	data, file := recorded(t)
	t.Run("compared with", func(t *testing.T) {
		o := paceline(t, "run", quick(t), "--data", t.TempDir(), "--baseline", file, "--format", "json", "--inconclusive", "pass")
		rep := reportOf(t, o)
		v := verdictOn(t, rep, "output_rate")
		if v.N != 1 || !strings.HasPrefix(rep.Base, "main (file of 20") || v.Baseline.Name != rep.Base {
			t.Errorf("compared with %d rounds of %q", v.N, rep.Base)
		}
	})
	t.Run("refused", func(t *testing.T) {
		empty := t.TempDir()
		cut := rewrite(t, file, func(s string) string { return s[:len(s)/2] })
		version2 := rewrite(t, file, func(s string) string { return strings.Replace(s, `"schema":1,"kind"`, `"schema":2,"kind"`, 1) })
		for _, c := range []struct {
			file, suite string
			says        []string
		}{
			{cut, quick(t), []string{cut, "cut off", "export it again"}},
			{version2, quick(t), []string{"version 2, this program reads 1"}},
			{file, "ci", []string{file, "of suite quick", "of suite ci"}},
			{filepath.Join(empty, "none.json"), quick(t), []string{"none.json"}},
		} {
			paceline(t, "run", c.suite, "--data", empty, "--baseline", c.file).expect(t, exitRequest, c.says...)
		}
		paceline(t, "baseline", "import", cut, "--data", empty).expect(t, exitRequest, cut, "cut off")
		if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
			t.Errorf("refused files left %v, %v", left, err)
		}
	})
	t.Run("imported", func(t *testing.T) {
		to := t.TempDir()
		paceline(t, "baseline", "import", file, "--data", to).expect(t, 0, "imported 1 run (1 round) of branch main, suite quick; 0 were there already")
		paceline(t, "baseline", "import", file, "--data", to).expect(t, 0, "imported 0 runs", "1 were there already")
		paceline(t, "baseline", "import", file, "--data", data).expect(t, 0, "1 were there already") // where it came from
		other := rewrite(t, file, func(s string) string { return strings.Replace(s, `"commit":"c1"`, `"commit":"c9"`, 1) })
		paceline(t, "baseline", "import", other, "--data", to).expect(t, exitRequest, "nothing was imported")
		paceline(t, "baseline", "list", "--data", to).expect(t, 0, "main    quick  1")
		paceline(t, "baseline", "show", "main", "--data", to, "--rounds").expect(t, 0, "output_rate", "a drop of 20 %", "c1")

		paceline(t, "baseline", "pin", "v1", "--data", to).expect(t, exitRequest, "say why")
		paceline(t, "baseline", "pin", "v1", "--data", to, "--reason", "released").expect(t, 0, "pinned v1: 1 run of branch main")
		paceline(t, "baseline", "unpin", "v2", "--data", to).expect(t, exitRequest, "nothing is pinned as v2; there is: v1")
		paceline(t, "baseline", "unpin", "v1", "--data", to).expect(t, 0, "v1 is not pinned any more")
		paceline(t, "baseline", "accept", "--branch", "main", "--reason", "x", "--data", to).expect(t, exitRequest, "nothing waits for an acceptance")
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		log, err := open(t, to).Audit().List(t.Context(), 0)
		if err != nil || len(log) != 3 {
			t.Fatalf("the audit log has %+v, %v", log, err)
		}
		for _, e := range log {
			if e.Who != me.Username {
				t.Errorf("%s is by %q, want %q", e.Action, e.Who, me.Username)
			}
		}
	})
	t.Run("while up owns the folder", func(t *testing.T) {
		to := t.TempDir()
		up := start(t, "up", "--listen", "127.0.0.1:0", "--data", to)
		up.waitFor(t, "Ctrl-C stops it")
		paceline(t, "baseline", "list", "--data", to).expect(t, 0, "no level yet")
		paceline(t, "baseline", "import", file, "--data", to).expect(t, 0, "imported 1 run (1 round)")
		paceline(t, "baseline", "import", file, "--data", to).expect(t, 0, "1 were there already")
		paceline(t, "baseline", "show", "--data", to, "--format", "json").expect(t, 0, `"output_rate"`)
		paceline(t, "baseline", "show", "next", "--data", to).expect(t, exitRequest, "no level of branch next; there is: branch main, suite quick")
		again := filepath.Join(t.TempDir(), "again.json")
		paceline(t, "baseline", "export", again, "--data", to).expect(t, 0, "exported 1 run")
		if f, _, err := readBaselineFile(again); err != nil || len(f.Runs) != 1 {
			t.Errorf("exported %+v, %v", f, err)
		}
		o := paceline(t, "run", quick(t), "--data", to, "--baseline", file, "--format", "json", "--inconclusive", "pass")
		if rep := reportOf(t, o); !strings.HasPrefix(rep.Base, "main (file of 20") {
			t.Errorf("compared with %q", rep.Base)
		}
		if err := up.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		up.wait(t).expect(t, 0)
	})
}

// TestAcceptance: a base branch below its level is red until somebody says that the
// level is meant. The level is one that this machine can't reach: the runs are real.
func TestAcceptance(t *testing.T) {
	_, file := recorded(t)
	f, _, err := readBaselineFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range f.Runs[0].Document.Rounds[0].Cells[0].Values {
		if v.Metric == "output_rate" {
			f.Runs[0].Document.Rounds[0].Cells[0].Values[i].Value *= 8
		}
	}
	if err := writeBaselineFile(file, f); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	paceline(t, "baseline", "import", file, "--data", data).expect(t, 0, "imported 1 run")
	paceline(t, "run", quick(t), "--data", data, "--branch", "main").expect(t, exitFail, "output_rate")
	paceline(t, "baseline", "show", "--data", data).expect(t, 0, "1 (+1 pending)", "1 round waits", "paceline baseline accept --branch main --suite quick")
	out := filepath.Join(t.TempDir(), "out.json")
	paceline(t, "baseline", "export", out, "--data", data).expect(t, 0, "exported 1 run")
	paceline(t, "baseline", "accept", "--branch", "main", "--reason", "meant", "--data", data).expect(t, 0, "of branch main that waited: the level now")
	paceline(t, "baseline", "export", out, "--data", data).expect(t, 0, "exported 1 run")
	if g, _, err := readBaselineFile(out); err != nil || g.Runs[0].Verdict != "fail" || g.Runs[0].Document.Run.ID == f.Runs[0].Document.Run.ID {
		t.Errorf("exported %+v, %v", g, err)
	}
	rep := reportOf(t, paceline(t, "run", quick(t), "--data", data, "--branch", "main", "--inconclusive", "pass", "--format", "json"))
	if v := verdictOn(t, rep, "output_rate"); v.Change < -0.7 {
		t.Errorf("still compared with the old level: %+.2f", v.Change)
	}
}

func TestBranchWithoutRounds(t *testing.T) {
	data := t.TempDir()
	paceline(t, "baseline", "export", filepath.Join(data, "x.json"), "--data", filepath.Join(data, "none")).expect(t, exitRequest, "there is no data folder")
	args := []string{"run", quick(t), "--data", data, "--branch", "topic", "--base-ref", "main"}
	paceline(t, args...).expect(t, 0, "NOTHING WAS COMPARED")
	paceline(t, append(args, "--require-baseline")...).expect(t, exitMachine, "NOTHING WAS COMPARED", "a baseline was required")
	paceline(t, "baseline", "export", filepath.Join(data, "x.json"), "--data", data).expect(t, exitRequest, "no level")
}

// gitRepository is a repository with the quick suite, made by git.
type gitRepository struct {
	t   *testing.T
	dir string
}

func newGit(t *testing.T) gitRepository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	g := gitRepository{t, t.TempDir()}
	g.git("init", "-q", "-b", "main")
	text, err := os.ReadFile(quick(t))
	if err != nil {
		t.Fatal(err)
	}
	g.commit(string(text))
	return g
}

func (g gitRepository) git(args ...string) string {
	g.t.Helper()
	out, err := exec.Command("git", append([]string{"-C", g.dir, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"}, args...)...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit, with the suite changed where text isn't empty.
func (g gitRepository) commit(text string) string {
	g.t.Helper()
	if text != "" {
		if err := os.WriteFile(filepath.Join(g.dir, "perf.yml"), []byte(text), 0o600); err != nil {
			g.t.Fatal(err)
		}
		g.git("add", "-A")
	}
	// A branch's name in the message keeps two commits of one second apart.
	g.git("commit", "-q", "--allow-empty", "-m", g.git("symbolic-ref", "--short", "HEAD"))
	return g.git("rev-parse", "HEAD")
}

// TestRunInRepository: a run knows from git what it measures and from where that
// branched off; a looser rule is told.
func TestRunInRepository(t *testing.T) {
	g := newGit(t)
	data := t.TempDir()
	head := g.git("rev-parse", "HEAD")
	in(t, g.dir, "run", "perf.yml", "--git", "--data", data).expect(t, 0, "NOTHING WAS COMPARED")
	base := onlyRun(t, data)
	if base.Branch != "main" || base.Commit != head || base.Lane != "base" || base.CommitTime.IsZero() {
		t.Errorf("on main: %+v", base.Run)
	}
	g.git("checkout", "-q", "-b", "topic")
	text, err := os.ReadFile(filepath.Join(g.dir, "perf.yml"))
	if err != nil {
		t.Fatal(err)
	}
	topic := g.commit(strings.Replace(string(text), "max_drop: 0.20", "max_drop: 0.90", 1))
	o := in(t, g.dir, "run", "perf.yml", "--git", "--base-ref", "main", "--data", data, "--format", "json", "--inconclusive", "pass")
	rep := reportOf(t, o)
	if rep.Branch != "topic" || rep.Commit != topic || rep.Base != "main" {
		t.Errorf("on topic: %s@%s against %s", rep.Branch, rep.Commit, rep.Base)
	}
	if v := verdictOn(t, rep, "output_rate"); v.N != 1 || *v.Rule.MaxDrop != 0.2 {
		t.Errorf("compared with %d rounds, by a limit of %g", v.N, *v.Rule.MaxDrop)
	}
	if all := rep.Overall.Headline + strings.Join(rep.Overall.Also, " "); !strings.Contains(all, "max_drop was 0.2, now 0.9") {
		t.Errorf("the looser rule isn't told: %s", all)
	}
}

// TestRunInCI: without a flag, the job's variables say what git can't.
func TestRunInCI(t *testing.T) {
	g := newGit(t)
	g.git("checkout", "-q", "--detach")
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_REF_NAME", "main")
	t.Setenv("GITHUB_REF_TYPE", "branch")
	data := t.TempDir()
	in(t, g.dir, "run", "perf.yml", "--data", data).expect(t, 0)
	if r := onlyRun(t, data); r.Branch != "main" || r.Commit != g.git("rev-parse", "HEAD") {
		t.Errorf("the run is of %s@%s", r.Branch, r.Commit)
	}
	in(t, g.dir, "run", "perf.yml", "--git=no", "--data", t.TempDir(), "--rounds", "200").expect(t, exitRequest, "200 rounds")
}

// TestForkCalledMain: a pull request from a fork's branch of the base's name is a
// change like every other, and no part of the base's level.
func TestForkCalledMain(t *testing.T) {
	g := newGit(t)
	for k, v := range map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch", "GITHUB_HEAD_REF": "main", "GITHUB_BASE_REF": "main",
	} {
		t.Setenv(k, v)
	}
	data := t.TempDir()
	in(t, g.dir, "run", "perf.yml", "--data", data).expect(t, 0, "NOTHING WAS COMPARED")
	if r := onlyRun(t, data); r.Lane != result.LaneCandidate || r.BaseRef != "main" {
		t.Errorf("lane %s against %q", r.Lane, r.BaseRef)
	}
	for _, x := range rounds(t, data, onlyRun(t, data).ID) {
		if x.Join != ledger.JoinNone {
			t.Errorf("a fork's round is %s", x.Join)
		}
	}
}

func TestRepositoriesThatCantSay(t *testing.T) {
	g := newGit(t)
	g.commit("")
	g.git("checkout", "-q", "-b", "topic")
	g.commit("")
	g.git("checkout", "-q", "main")
	g.commit("")
	g.git("checkout", "-q", "topic")
	data := filepath.Join(t.TempDir(), "never-made")
	run := func(dir string, args ...string) outcome {
		return in(t, dir, append([]string{"run", "perf.yml", "--data", data}, args...)...)
	}
	run(g.dir, "--git", "--commit", "deadbeef").expect(t, exitRequest, "--commit deadbeef is not in the repository")
	run(g.dir, "--git", "--base-ref", "nope").expect(t, exitRequest, "the base nope is not in the repository", "fetch-depth: 0")
	run(g.dir, "--git=maybe").expect(t, exitRequest, "want yes, no or auto")
	g.git("checkout", "-q", "--detach")
	run(g.dir, "--git").expect(t, exitRequest, "detached HEAD", "--branch")
	shallow := filepath.Join(t.TempDir(), "shallow")
	g.git("clone", "-q", "--depth", "1", "--no-single-branch", "file://"+g.dir, shallow)
	if err := exec.Command("git", "-C", shallow, "checkout", "-q", "--detach", "origin/topic").Run(); err != nil {
		t.Fatal(err)
	}
	run(shallow, "--git", "--branch", "topic", "--base-ref", "main").expect(t, exitRequest, "shallow", "fetch-depth: 0", "--unshallow")
	elsewhere := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(elsewhere))
	in(t, elsewhere, "run", quick(t), "--git", "--data", data).expect(t, exitRequest, "no git repository", "--git=no")
	if _, err := os.Stat(data); err == nil {
		t.Error("a refused run made a data folder")
	}
}

// TestPinnedByHand: a run is also compared with a pinned level.
func TestPinnedByHand(t *testing.T) {
	data, _ := recorded(t)
	paceline(t, "baseline", "pin", "v1", "--data", data, "--reason", "released").expect(t, 0)
	rep := reportOf(t, paceline(t, "run", quick(t), "--data", data, "--branch", "main", "--format", "json", "--inconclusive", "pass"))
	found := 0
	for _, l := range rep.Lines {
		if l.Verdict != nil && strings.HasPrefix(l.Verdict.Baseline.Name, "pinned v1") {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d checks against the pinned level", found)
	}
}
