package agent

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// Subjects is what a machine can measure beside its agent's own build. It comes from
// the machine's configuration, or from the person who sits at it, and never from a
// request: suites and requests only name what stands here.
type Subjects struct {
	Targets  map[string]Target // by name; "engine" is Paceline's own and needs no entry
	Binaries map[string]string // files that may be started, by the SHA-256 of their contents in hexadecimal
	Git      *GitRecipe        // how a revision is built; nil: it can't be
	Images   map[string]string // allowed container images, by digest "sha256:…": how the runtime is told
}

// Target is a named server, or Paceline's engine with other builds than "self".
type Target struct {
	wire.Target
	GPUs    int      // that it takes
	Accepts []string // kinds of build (Kind…); empty: those that it can take at all
}

// GitRecipe says how a revision of a repository becomes a file that can be started.
type GitRecipe struct {
	Repository string   // path on this machine
	Command    []string // run in a clean clone of the revision
	Output     string   // file that it makes, relative to the clone
	Env        []string // NAME=value
}

// Kinds of build: what stands before the colon of Subject.Build.
const (
	KindSelf   = "self"   // the agent's own program, or a server as its recipe says
	KindSHA256 = "sha256" // sha256:<hex>: a file on this machine
	KindGit    = "git"    // git:<revision>: built here
	KindImage  = "image"  // image:sha256:<hex>: a container image
	KindURL    = "url"    // url:<address>: a server that runs; it can't be restarted
	KindLaunch = "launch" // launch:<digest>: a recipe that a person typed
)

// plan is how a subject is to be had: what resolve found in the configuration, with
// nothing done yet.
type plan struct {
	target *Target // nil: Paceline's engine
	kind   string
	hash   string // with KindSHA256
	ref    string // with KindGit
	image  string // with KindImage: its digest
	file   string // with KindSHA256: where it lies
	run    string // with KindImage: what the runtime is told
}

// resolve finds what a subject names. A name that this machine doesn't know is this
// machine's error (another one may know it); one that can't be read is the request's.
func resolve(s result.Subject, have Subjects) (plan, error) {
	var p plan
	if !wire.OwnEngine(s.Target) {
		t, ok := have.Targets[s.Target]
		if !ok {
			return p, missing("target", s.Target, append(slices.Sorted(maps.Keys(have.Targets)), ownTargets()...))
		}
		p.target = &t
	}
	kind, rest, _ := strings.Cut(s.Build, ":")
	if s.Build == "" {
		kind = KindSelf
	}
	p.kind = kind
	if can := p.takes(); !slices.Contains(can, kind) {
		if !slices.Contains(kinds(), kind) {
			return p, wrongBuild("unknown kind of build %q: known are %s", s.Build, strings.Join(kinds(), ", "))
		}
		return p, notHere("target %s on this machine takes builds of the kinds %s, and the run asks for %q", targetName(s), strings.Join(can, ", "), s.Build)
	}
	switch kind {
	case KindSHA256:
		p.hash = strings.ToLower(rest)
		if !isDigest(p.hash) {
			return p, wrongBuild("build %q: want sha256: and 64 hexadecimal digits", s.Build)
		}
		if p.file = have.Binaries[p.hash]; p.file == "" {
			return p, notHere("this machine has no file for build sha256:%.12s…: add it under builds.binaries of its configuration (it has %d)", p.hash, len(have.Binaries))
		}
	case KindGit:
		if p.ref = rest; rest == "" || strings.HasPrefix(rest, "-") {
			return p, wrongBuild("build %q: want git: and a revision", s.Build)
		}
		if have.Git == nil {
			return p, notHere("this machine can't build %q: its configuration has no recipe under builds.git", s.Build)
		}
	case KindImage:
		p.image = rest
		if hash, ok := strings.CutPrefix(rest, "sha256:"); !ok || !isDigest(hash) {
			return p, wrongBuild("build %q: want image:sha256: and 64 hexadecimal digits", s.Build)
		}
		if p.run = have.Images[rest]; p.run == "" {
			return p, notHere("image %.19s… is not allowed on this machine: add it under builds.images of its configuration (it allows %d)", rest, len(have.Images))
		}
	case KindURL:
		if rest != p.target.URL {
			return p, notHere("target %s is the server at %s, and the run asks for the one at %s", s.Target, p.target.URL, rest)
		}
	}
	return p, nil
}

// ownTargets are the names of Paceline's engine and its variants.
func ownTargets() []string {
	return append([]string{wire.DriverEngine}, slices.Sorted(maps.Keys(wire.EngineVariants()))...)
}

// takes are the kinds of build that the plan's target can have.
func (p *plan) takes() []string {
	switch {
	case p.target == nil:
		return []string{KindSelf, KindSHA256, KindGit}
	case len(p.target.Accepts) > 0:
		return p.target.Accepts
	case p.target.URL != "":
		return []string{KindURL}
	}
	return []string{KindSelf, KindLaunch, KindSHA256, KindGit, KindImage}
}

// Check says what is wrong with a target, whatever it is asked for.
func (t Target) Check() error {
	for _, a := range t.Accepts {
		if !slices.Contains(kinds(), a) {
			return fmt.Errorf("accepts: unknown kind of build %q: known are %s", a, strings.Join(kinds(), ", "))
		}
		if (a == KindURL) != (t.URL != "") {
			return fmt.Errorf("accepts: %q: a running server is build %s, and one that is started is any other kind", a, KindURL)
		}
	}
	switch {
	case t.Driver != wire.DriverOpenAI:
		return fmt.Errorf("driver %q: known is %s", t.Driver, wire.DriverOpenAI)
	case t.URL == "" && t.Launch == nil:
		return fmt.Errorf("it needs a url, or launch with args")
	case t.URL != "" && t.Launch != nil:
		return fmt.Errorf("it has both a url and launch: a server runs already, or is started")
	case t.GPUs < 0:
		return fmt.Errorf("gpus: %d is negative", t.GPUs)
	}
	return nil
}

func kinds() []string { return []string{KindSelf, KindSHA256, KindGit, KindImage, KindURL, KindLaunch} }

func targetName(s result.Subject) string {
	if s.Target == "" {
		return wire.DriverEngine
	}
	return s.Target
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

func missing(what, name string, known []string) error {
	msg := fmt.Sprintf("this machine has no %s %q: it has %s", what, name, strings.Join(known, ", "))
	if near := metric.Nearest(name, known); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return &wire.Error{Class: wire.ClassMachine, Message: msg}
}

func notHere(format string, args ...any) error {
	return &wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf(format, args...)}
}

func wrongBuild(format string, args ...any) error {
	return &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf(format, args...)}
}
