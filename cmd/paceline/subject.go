package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/agent"
	"github.com/paceline/paceline/agent/build"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// subjectFlags say what `run` measures on this machine in place of this program. They
// name files, commands and addresses, which only the person at this machine may: no
// request over the API carries them.
type subjectFlags struct {
	build     string
	url       string
	launch    string
	ready     string
	readyIn   time.Duration
	apiKeyEnv string
	dialect   string
	served    string
	target    string
	config    string
	gpu       string
}

// defaultTarget is the name of a server that has no other.
const defaultTarget = "server"

func (f *subjectFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.build, "build", "", "measure another build: a path (PATH@sha256:HEX checks it), sha256:HEX, git:REVISION, image:sha256:HEX (default: this program)")
	fl.StringVar(&f.url, "url", "", "measure the running OpenAI-compatible server at this address; its rounds lie a minute apart")
	fl.StringVar(&f.launch, "launch", "", "start an OpenAI-compatible server by this command for every round; {port}, {model} and {build} are filled in")
	fl.StringVar(&f.ready, "ready", "", "path of --launch's server that answers 200 once it can be measured (default: /health)")
	fl.DurationVar(&f.readyIn, "ready-timeout", 0, "how long that may take (default: 10m)")
	fl.StringVar(&f.apiKeyEnv, "api-key-env", "", "environment variable that holds the server's API key")
	fl.StringVar(&f.dialect, "dialect", "", "what the server understands beyond OpenAI's API: "+strings.Join(openai.Dialects(), ", ")+" (default: recognised)")
	fl.StringVar(&f.served, "served-model", "", "the model as the server names it (default: the only one that it lists)")
	fl.StringVar(&f.target, "target", "", "name of the target: engine-cuda (the engine on a GPU) or another of the engine's own, one of this machine's configuration, or the name under which --url or --launch is stored (default: server)")
	fl.StringVar(&f.gpu, "device", "", "index or UUID of the GPU for --target engine-cuda and its variants (default: the machine's configuration, else the first that nobody uses)")
	fl.StringVar(&f.config, "agent-config", "", "this machine's configuration (default: agent.yml in the data folder, where there is one)")
}

// local says that a flag names what only this process can have: another coordinator's
// agent is told none of it.
func (f *subjectFlags) local() string {
	for _, x := range []struct{ name, value string }{
		{"--build", f.build},
		{"--url", f.url},
		{"--launch", f.launch},
		{"--target", f.target},
		{"--agent-config", f.config},
		{"--device", f.gpu},
	} {
		if x.value != "" {
			return x.name
		}
	}
	return ""
}

// check refuses flags that contradict one another.
func (f *subjectFlags) check() error {
	server := f.url != "" || f.launch != ""
	switch {
	case f.url != "" && f.launch != "":
		return fail(exitRequest, "--url and --launch: a server either runs already or is started; give one of them")
	case f.url != "" && f.build != "":
		return fail(exitRequest, "--url and --build: which build a running server is, it says itself; give one of them")
	case f.launch == "" && (f.ready != "" || f.readyIn != 0):
		return fail(exitRequest, "--ready and --ready-timeout belong to --launch")
	case !server && (f.dialect != "" || f.served != "" || f.apiKeyEnv != ""):
		return fail(exitRequest, "--dialect, --served-model and --api-key-env belong to --url or --launch")
	case server && f.target != "" && wire.OwnEngine(f.target):
		return fail(exitRequest, "--target %s is Paceline's own engine: choose another name for the server", f.target)
	}
	if f.gpu != "" && wire.EngineVariants()[f.target].Backend == "" {
		return fail(exitRequest, "--device chooses the GPU for the engine's own targets on one: give --target engine-cuda too")
	}
	if f.dialect != "" {
		if _, err := openai.DialectOf(f.dialect); err != nil {
			return fail(exitRequest, "--dialect: %w", err)
		}
	}
	if f.url != "" {
		if err := openai.CheckURL(f.url); err != nil {
			return fail(exitRequest, "--url: %w", err)
		}
	}
	if f.apiKeyEnv != "" && os.Getenv(f.apiKeyEnv) == "" {
		return fail(exitRequest, "--api-key-env: the variable %s is empty or not set", f.apiKeyEnv)
	}
	return nil
}

// apply makes the request name what the flags say, and gives this machine's
// configuration with what they add to it. A machine of a fleet has a configuration of
// its own, and gets names only. Messages for the person go to say.
func (f *subjectFlags) apply(ctx context.Context, data string, fleet bool, q *core.SubmitRequest, say io.Writer) (agentConfig, error) {
	if err := f.check(); err != nil {
		return agentConfig{}, err
	}
	if fleet {
		return agentConfig{}, f.name(q, say)
	}
	m, err := f.read(data)
	if err != nil {
		return m, err
	}
	m.gpu = cmp.Or(f.gpu, m.gpu)
	m.subjects.Targets, m.subjects.Binaries = orNew(m.subjects.Targets), orNew(m.subjects.Binaries)
	if err := f.server(&m, q); err != nil {
		return m, err
	}
	if err := f.useBuild(ctx, &m, q, say); err != nil {
		return m, err
	}
	if q.Subject.Target == "" {
		return m, nil
	}
	if q.Subject.Model == shippedModel && !wire.OwnEngine(q.Subject.Target) { // the suite's default, which a server doesn't have
		q.Subject.Model = agent.ModelServed
	}
	return m, retarget(m, q, say)
}

// name fills in what another machine is to find in its configuration.
func (f *subjectFlags) name(q *core.SubmitRequest, say io.Writer) error {
	kind, _, _ := strings.Cut(f.build, ":")
	switch {
	case f.url != "" || f.launch != "" || f.config != "" || f.gpu != "":
		return fail(exitRequest, "--url, --launch, --device and --agent-config are this machine's, and --any asks for another one: name a target of its configuration with --target")
	case f.build != "" && !slices.Contains([]string{agent.KindSelf, agent.KindSHA256, agent.KindGit, agent.KindImage, agent.KindURL}, kind):
		return fail(exitRequest, "--build %s is a file of this machine, and --any asks for another one: name the build as sha256:HEX, git:REVISION or image:sha256:HEX", f.build)
	}
	q.Subject.Target, q.Subject.Build = f.target, f.build
	if f.target == "" || f.target == wire.DriverEngine {
		return nil
	}
	if q.Subject.Model == shippedModel && !wire.OwnEngine(f.target) {
		q.Subject.Model = agent.ModelServed
	}
	return retarget(agentConfig{}, q, say) // whether the server is started there or runs, only that machine knows
}

func orNew[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// read reads this machine's configuration.
func (f *subjectFlags) read(data string) (agentConfig, error) {
	if f.config != "" {
		return readAgentConfig(f.config, true)
	}
	if data == "" {
		var err error
		if data, err = datadir.Default(); err != nil {
			return agentConfig{}, fail(exitRequest, "%w", err)
		}
	}
	return readAgentConfig(filepath.Join(data, agentConfigName), false)
}

// server settles the target.
func (f *subjectFlags) server(m *agentConfig, q *core.SubmitRequest) error {
	switch {
	case f.url == "" && f.launch == "":
		if f.target == "" || f.target == wire.DriverEngine {
			return nil
		}
		if wire.OwnEngine(f.target) { // a variant: the suite may not name it
			q.Subject.Target = f.target
			return nil
		}
		t, ok := m.subjects.Targets[f.target]
		if !ok {
			known := slices.Concat(slices.Sorted(maps.Keys(m.subjects.Targets)), []string{wire.DriverEngine}, slices.Sorted(maps.Keys(wire.EngineVariants())))
			msg := fmt.Sprintf("--target: this machine's configuration has no target %q: it has %s", f.target, strings.Join(known, ", "))
			if near := metric.Nearest(f.target, known); near != "" {
				msg += fmt.Sprintf("; did you mean %q?", near)
			}
			return fail(exitRequest, "%s", msg)
		}
		q.Subject.Target = f.target
		if t.URL != "" {
			q.Subject.Build = agent.KindURL + ":" + t.URL
		}
		return nil
	}
	name := f.target
	if name == "" {
		name = defaultTarget
	}
	t := agent.Target{Target: wire.Target{Driver: wire.DriverOpenAI, Dialect: f.dialect, URL: f.url, APIKeyEnv: f.apiKeyEnv, Served: f.served}}
	q.Subject.Target, q.Subject.Build = name, agent.KindURL+":"+f.url
	if f.launch != "" {
		args, err := shellWords(f.launch)
		if err != nil {
			return fail(exitRequest, "--launch: %w", err)
		}
		t.Launch = &wire.Launch{Args: args, Ready: f.ready, ReadyTimeout: f.readyIn}
		if err := checkLaunch(*t.Launch); err != nil {
			return fail(exitRequest, "--launch: %w", err)
		}
		if f.build == "" {
			q.Subject.Build = agent.KindLaunch + ":" + recipeDigest(t.Launch)
		}
	}
	m.subjects.Targets[name] = t
	return nil
}

// recipeDigest names a recipe that a person typed, so that its text, which may hold
// paths and more, needn't be stored with every result.
func recipeDigest(l *wire.Launch) string {
	b, err := json.Marshal(l)
	if err != nil {
		panic("a recipe has only strings and integers: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// useBuild settles the build.
func (f *subjectFlags) useBuild(ctx context.Context, m *agentConfig, q *core.SubmitRequest, say io.Writer) error {
	kind, rest, named := strings.Cut(f.build, ":")
	switch {
	case f.build == "":
		return nil
	case f.build == agent.KindSelf, named && (kind == agent.KindSHA256 || kind == agent.KindImage):
		q.Subject.Build = f.build
		return nil
	case named && kind == agent.KindGit:
		if m.subjects.Git == nil {
			return fail(exitRequest, "--build %s: this machine's configuration has no recipe under builds.git, which says how a revision is built", f.build)
		}
		commit, err := build.Recipe(*m.subjects.Git).Resolve(ctx, rest)
		if err != nil {
			return fail(exitRequest, "--build: %w", err)
		}
		q.Subject.Build = agent.KindGit + ":" + commit
		return nil
	}
	path, claimed, _ := strings.Cut(f.build, "@sha256:")
	hash, err := examine(path)
	if err != nil {
		return fail(exitRequest, "--build: %w", err)
	}
	if claimed != "" && !strings.EqualFold(claimed, hash) {
		return fail(exitRequest, "--build: %s is sha256:%s, not sha256:%s as you say", path, hash, claimed)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(exitRequest, "--build: %w", err)
	}
	m.subjects.Binaries[hash] = abs
	q.Subject.Build = agent.KindSHA256 + ":" + hash
	fmt.Fprintf(say, "build %s is sha256:%.12s…\n", path, hash)
	return nil
}

// retarget points the suite, and that of the base ref whose gates are the rules, at
// a target that they don't name.
func retarget(m agentConfig, q *core.SubmitRequest, say io.Writer) error {
	var err error
	if q.Suite, err = pointed(q.SuiteFile, q.Suite, m, q, say); err != nil {
		return fail(exitRequest, "%w", err)
	}
	if q.BaseSuite != "" {
		if q.BaseSuite, err = pointed("suite of the base ref", q.BaseSuite, m, q, io.Discard); err != nil {
			return fail(exitRequest, "%w", err)
		}
	}
	return nil
}

// pointed is a suite pointed at the request's target. Gates on what such a target
// can't tell are left out, and named.
func pointed(file, suite string, m agentConfig, q *core.SubmitRequest, say io.Writer) (string, error) {
	s, err := spec.Parse(file, []byte(suite))
	if err != nil {
		return "", err
	}
	if slices.Contains(s.Targets, q.Subject.Target) {
		return suite, nil
	}
	for _, w := range s.Workloads {
		if w.Target != "" {
			return "", fmt.Errorf("--target %s: workload %s of suite %s measures %s, which is a variant of Paceline's own engine: measure a suite without it", q.Subject.Target, w.Name, s.Name, w.Target)
		}
	}
	s.Targets = []string{q.Subject.Target}
	t := m.subjects.Targets[q.Subject.Target]
	tokenizer := filepath.IsAbs(q.Subject.Model) || isPulledName(q.Subject.Model) || q.Subject.Model == "" && m.models[s.Model] != ""
	for i := range s.Workloads {
		w := &s.Workloads[i]
		w.Gates = slices.DeleteFunc(w.Gates, func(g spec.Gate) bool {
			why := ""
			if !wire.OwnEngine(q.Subject.Target) {
				why = cantTell(t, tokenizer, g.Metric)
			}
			if why != "" {
				fmt.Fprintf(say, "not judged: %s of workload %s: %s\n", g.Metric, w.Name, why)
			}
			return why != ""
		})
	}
	return string(s.Resolved()), nil
}

// cantTell says why a server can't give a metric; "" where it can.
func cantTell(t agent.Target, tokenizer bool, id metric.ID) string {
	def, ok := id.Def()
	if !ok {
		return ""
	}
	switch def.Name {
	case "cancel_honoured":
		return "a server doesn't tell how many tokens it makes for a request that was cancelled"
	case "engine_ttft", "transport_overhead", "prefill_rate", "mem_weights", "mem_peak_alloc", "kv_bytes_per_token":
		return "only Paceline's own engine tells it"
	case "token_agreement":
		if !tokenizer {
			return "it takes a second count of the tokens: give the model's folder with --model, for its tokenizer"
		}
	case "ttft_process_cold", "load_time", "mem_peak_process", "mem_leak":
		if t.URL != "" {
			return "it is known only of a server that is started for the round: use --launch"
		}
	}
	return ""
}

// arguments are the flags as a person would repeat them.
func (f *subjectFlags) arguments() []string {
	var out []string
	for _, x := range []struct{ name, value string }{
		{"target", f.target},
		{"build", f.build},
		{"url", f.url},
		{"launch", f.launch},
		{"ready", f.ready},
		{"api-key-env", f.apiKeyEnv},
		{"dialect", f.dialect},
		{"served-model", f.served},
		{"device", f.gpu},
		{"agent-config", f.config},
	} {
		if x.value != "" {
			out = append(out, "--"+x.name, quoteWord(x.value))
		}
	}
	if f.readyIn != 0 {
		out = append(out, "--ready-timeout", f.readyIn.String())
	}
	return out
}
