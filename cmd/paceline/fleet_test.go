//go:build native

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/tlstest"
)

// fleet is a coordinator with its data folder, and what is needed to talk to it.
type fleet struct {
	t        *testing.T
	data     string
	args     []string // of the coordinator
	url      string
	messages string // HOST:PORT
	server   *process
}

// newFleet starts a coordinator and gives this test's commands a token for it.
func newFleet(t *testing.T, args ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, data: t.TempDir(), args: args}
	f.start("127.0.0.1:0", "127.0.0.1:0")
	t.Setenv(tokenVariable, f.token("submit"))
	return f
}

func (f *fleet) start(listen, messages string) {
	f.t.Helper()
	f.server = start(f.t, append([]string{"coordinator", "--data", f.data, "--listen", listen, "--bus-listen", messages}, f.args...)...)
	f.server.waitFor(f.t, "ready · ")
	said := f.server.stderr.String()
	f.url = regexp.MustCompile(`coordinator  (\S+)`).FindStringSubmatch(said)[1]
	f.messages = net.JoinHostPort("127.0.0.1", regexp.MustCompile(`agents +\w+://HOST:(\d+)`).FindStringSubmatch(said)[1])
}

// kill ends the coordinator as a power cut does; again starts it on the same ports.
func (f *fleet) kill() {
	f.t.Helper()
	_ = f.server.cmd.Process.Kill()
	f.server.wait(f.t)
}

func (f *fleet) again() {
	f.t.Helper()
	f.start(strings.SplitN(f.url, "//", 2)[1], f.messages)
}

func (f *fleet) token(scope string) string {
	f.t.Helper()
	o := paceline(f.t, "token", "create", "--scope", scope, "--name", "test", "--data", f.data)
	o.expect(f.t, exitOK, "it is not shown again")
	return strings.TrimSpace(o.stdout)
}

// agent enrols a machine and starts it.
func (f *fleet) agent(name string, labels ...string) (p *process, state string) {
	f.t.Helper()
	o := paceline(f.t, "token", "create", "--enrol", "--data", f.data)
	o.expect(f.t, exitOK, "enrols one agent")
	state = filepath.Join(f.t.TempDir(), "agent")
	args := []string{"agent", "enrol", f.url, strings.TrimSpace(o.stdout), "--state", state, "--name", name}
	for _, l := range labels {
		args = append(args, "--label", l)
	}
	paceline(f.t, args...).expect(f.t, exitOK, "enrolled as agent "+name)
	p = start(f.t, "agent", "--state", state)
	p.waitFor(f.t, "is ready")
	return p, state
}

// TestFleet: a run on a machine of the fleet by its label, one on the calling machine,
// and the pages behind the same tokens.
func TestFleet(t *testing.T) {
	f := newFleet(t)
	f.agent("box1", "pool=ci", "gpu=none")
	o := paceline(t, "run", quick(t), "--coordinator", f.url, "--any", "--where", "pool=ci", "--wait", "--commit", "c1", "--branch", "main")
	o.expect(t, exitOK, "NOTHING WAS COMPARED", f.url+"/runs/", "main@c1")
	o = paceline(t, "run", quick(t), "--coordinator", f.url, "--commit", "c2", "--branch", "main", "--inconclusive", "pass")
	if o.code != exitFail { // a busy machine may be slower: that is a verdict
		o.expect(t, exitOK, "main@c2")
	}
	l := open(t, f.data)
	as, err := l.Agents().List(t.Context())
	if err != nil || len(as) != 2 {
		t.Fatalf("%d agents, %v", len(as), err)
	}
	for _, a := range as {
		if a.Caller && (a.State != ledger.AgentRetired || !strings.Contains(a.Name, "calling")) {
			t.Errorf("the calling machine is still there: %+v", a)
		}
	}
	runs, err := l.Runs().List(t.Context(), ledger.RunFilter{})
	if err != nil || len(runs) != 2 || runs[0].CreatedBy != "test" {
		t.Errorf("%d runs, %v: want two by the token's name", len(runs), err)
	}
	paceline(t, "token", "list", "--data", f.data).expect(t, exitOK, "scope submit", "until")

	get := func(token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		req.AddCookie(&http.Cookie{Name: "paceline_token", Value: token})
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, body := get("nothing"); code != http.StatusUnauthorized || !strings.Contains(body, "Sign in") || strings.Contains(body, "output_rate") {
		t.Errorf("pages without a token: %d", code)
	}
	if code, body := get(os.Getenv(tokenVariable)); code != http.StatusOK || !strings.Contains(body, "output_rate") {
		t.Errorf("pages with one: %d", code)
	}
}

// TestWaitOutlivesTheCoordinator: killed in the middle of a run and started again, it
// ends the run, and the command that waits gets the verdict.
func TestWaitOutlivesTheCoordinator(t *testing.T) {
	f := newFleet(t)
	f.agent("box1")
	p := start(t, "run", quick(t), "--coordinator", f.url, "--any", "--wait", "--rounds", "2")
	p.waitFor(t, "trial 1")
	f.kill()
	p.waitFor(t, "waiting for the coordinator")
	f.again()
	o := p.wait(t)
	o.expect(t, exitOK, "NOTHING WAS COMPARED", "2 rounds")
	if r := onlyRun(t, f.data); r.State != ledger.RunDecided || r.Exit != exitOK {
		t.Errorf("the run is %s, exit %d", r.State, r.Exit)
	}
}

// TestKilledAgentIsNoRegression: a machine that is gone is exit 3 with its name, after
// the coordinator has itself waited for it.
func TestKilledAgentIsNoRegression(t *testing.T) {
	f := newFleet(t, "--lease", "6s")
	agent, _ := f.agent("box1")
	p := start(t, "run", quick(t), "--coordinator", f.url, "--any", "--wait", "--rounds", "30")
	p.waitFor(t, "trial 1")
	if err := syscall.Kill(agent.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitMachine, "lost", "was not heard for 6s")
}

// TestRestartedAgent: what an agent measured before it was killed is delivered by its
// next life, and the attempt ends as the machine's fault.
func TestRestartedAgent(t *testing.T) {
	f := newFleet(t)
	agent, state := f.agent("box1")
	p := start(t, "run", quick(t), "--coordinator", f.url, "--any", "--wait", "--rounds", "30")
	p.waitFor(t, "round 2 of 30")
	if err := syscall.Kill(agent.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := start(t, "agent", "--state", state)
	again.waitFor(t, "is ready")
	p.wait(t).expect(t, exitMachine, "the agent was restarted during the attempt")
	if got := rounds(t, f.data, onlyRun(t, f.data).ID); len(got) == 0 {
		t.Error("the rounds that were measured are lost")
	}
}

func TestCancelElsewhere(t *testing.T) {
	f := newFleet(t)
	agent, _ := f.agent("box1")
	p := start(t, "run", quick(t), "--coordinator", f.url, "--any", "--wait", "--rounds", "30")
	p.waitFor(t, "trial 1")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitCancelled, "is cancelled")
	if r := onlyRun(t, f.data); r.State != ledger.RunCancelled {
		t.Errorf("the run is %s", r.State)
	}
	if err := agent.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	agent.wait(t).expect(t, exitOK)
}

func TestBadFleet(t *testing.T) {
	f := newFleet(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	free.Close()
	enrolment := strings.TrimSpace(paceline(t, "token", "create", "--enrol", "--agent", "box7", "--data", f.data).stdout)
	for _, c := range []struct {
		name, token string
		code        int
		args, says  []string
	}{
		{"no token", "", exitRequest, []string{"run", "ci", "--coordinator", f.url}, []string{"PACELINE_TOKEN"}},
		{"wrong token", "plt_aaaa", exitRequest, []string{"run", "ci", "--coordinator", f.url, "--any"}, []string{"no token that this coordinator knows", "token create"}},
		{"a token with a line break", "plt_a\nb", exitRequest, []string{"run", "ci", "--coordinator", f.url}, []string{"the token alone"}},
		{"a token that may only read", f.token("read"), exitRequest, []string{"run", "ci", "--coordinator", f.url}, []string{`"read"`, `"submit"`}},
		{"unreachable", "plt_aaaa", exitMachine, []string{"run", "ci", "--coordinator", nobody}, []string{nobody, "is it running there"}},
		{"not an address", "plt_aaaa", exitRequest, []string{"run", "ci", "--coordinator", "box:7070"}, []string{"http://HOST:PORT"}},
		{"where without any", "", exitRequest, []string{"run", "ci", "--coordinator", f.url, "--where", "gpu=h200"}, []string{"--any"}},
		{"any without a coordinator", "", exitRequest, []string{"run", "ci", "--any", "--data", t.TempDir()}, []string{"--coordinator"}},
		{"a label that is none", "", exitRequest, []string{"run", "ci", "--coordinator", f.url, "--any", "--where", "h200"}, []string{"KEY=VALUE"}},
		{"run in the coordinator's folder", "", exitRequest, []string{"run", "ci", "--data", f.data}, []string{"--coordinator " + f.url}},
		{"up in the coordinator's folder", "", exitRequest, []string{"up", "--data", f.data}, []string{"paceline coordinator", "--data"}},
		{"not enrolled", "", exitRequest, []string{"agent", "--state", t.TempDir()}, []string{"not enrolled", "agent enrol"}},
		{"enrolled by an API token", "", exitRequest, []string{"agent", "enrol", f.url, f.token("admin"), "--state", t.TempDir()}, []string{"no enrolment token", "token create --enrol"}},
		{"enrolled under another name", "", exitRequest, []string{"agent", "enrol", f.url, enrolment, "--state", t.TempDir(), "--name", "box8"}, []string{`"box7" only`}},
		{"beyond the loopback", "", exitRequest, []string{"coordinator", "--listen", "0.0.0.0:0", "--data", t.TempDir()}, []string{"--tls-cert"}},
		{"a lease shorter than a beat", "", exitRequest, []string{"coordinator", "--lease", "1s", "--data", t.TempDir()}, []string{"5s"}},
		{"its messages' port in use", "", exitMachine, []string{"coordinator", "--listen", "127.0.0.1:0", "--bus-listen", f.messages, "--data", t.TempDir()}, []string{"in use"}},
		{"a certificate without its key", "", exitRequest, []string{"coordinator", "--tls-cert", "x.pem", "--data", t.TempDir()}, []string{"go together"}},
		{"no scope", "", exitRequest, []string{"token", "create", "--data", f.data}, []string{"--scope", "--enrol"}},
		{"a scope that is none", "", exitRequest, []string{"token", "create", "--scope", "root", "--data", f.data}, []string{"read"}},
		{"a life that is none", "", exitRequest, []string{"token", "create", "--scope", "read", "--expires", "soon", "--data", f.data}, []string{"90d"}},
		{"revoke nothing", "", exitRequest, []string{"token", "revoke", "abc", "--data", f.data}, []string{"token list"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(tokenVariable, c.token)
			paceline(t, c.args...).expect(t, c.code, append(c.says, "paceline: ")...)
		})
	}
}

// TestEncrypted: the API, the pages and the messages by a certificate of one's own; the
// command beside the data folder needs no name in it.
func TestEncrypted(t *testing.T) {
	cert, key := tlstest.SelfSigned(t)
	f := newFleet(t, "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(f.url, "https://") {
		t.Fatalf("the coordinator is at %s", f.url)
	}
	paceline(t, "run", quick(t), "--coordinator", f.url).expect(t, exitMachine, "certificate")
	t.Setenv(caVariable, cert)
	f.agent("box1")
	paceline(t, "run", quick(t), "--coordinator", f.url, "--any", "--wait").expect(t, exitOK, "NOTHING WAS COMPARED")
	paceline(t, "run", quick(t), "--coordinator", f.url, "--ca", filepath.Join(t.TempDir(), "none.pem")).expect(t, exitRequest, "none.pem")
}
