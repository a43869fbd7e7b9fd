package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/wire"
)

func TestResolve(t *testing.T) {
	hex := strings.Repeat("ab", 32)
	server := Target{Target: wire.Target{Driver: wire.DriverOpenAI, Launch: &wire.Launch{Args: []string{"{build}", "{port}"}}}}
	only := server
	only.Accepts = []string{KindImage}
	have := Subjects{
		Targets: map[string]Target{
			"llama": server, "vllm": only, "running": {Target: wire.Target{Driver: wire.DriverOpenAI, URL: "http://h:1"}},
		},
		Binaries: map[string]string{hex: "/b/llama-server"},
		Images:   map[string]string{"sha256:" + hex: "repo/vllm@sha256:" + hex},
	}
	git := have
	git.Git = &GitRecipe{}
	for _, c := range []struct {
		target, build string
		have          Subjects
		class, says   string // of the error
		check         func(plan) bool
	}{
		{"", "", have, "", "", func(p plan) bool { return p.target == nil && p.kind == KindSelf }},
		{"engine", "self", have, "", "", func(p plan) bool { return p.target == nil && p.kind == KindSelf }},
		{"engine-w8", "self", have, "", "", func(p plan) bool { return p.target == nil && p.kind == KindSelf }},
		{"engine-w6", "self", have, wire.ClassMachine, `did you mean "engine-w`, nil},
		{"engine", "sha256:" + hex, have, "", "", func(p plan) bool { return p.file == "/b/llama-server" && p.hash == hex }},
		{"engine", "sha256:" + strings.ToUpper(hex), have, "", "", func(p plan) bool { return p.hash == hex }},
		{"engine", "git:v1", git, "", "", func(p plan) bool { return p.ref == "v1" }},
		{"llama", "self", have, "", "", func(p plan) bool { return p.target != nil && p.kind == KindSelf }},
		{"llama", "sha256:" + hex, have, "", "", func(p plan) bool { return p.file != "" }},
		{"vllm", "image:sha256:" + hex, have, "", "", func(p plan) bool { return p.run == "repo/vllm@sha256:"+hex }},
		{"running", "url:http://h:1", have, "", "", func(p plan) bool { return p.kind == KindURL }},

		{"lama", "self", have, wire.ClassMachine, `did you mean "llama"`, nil},
		{"engine", "sha256:" + strings.Repeat("0", 64), have, wire.ClassMachine, "builds.binaries", nil},
		{"engine", "sha256:abc", have, wire.ClassRequest, "64 hexadecimal", nil},
		{"engine", "git:v1", have, wire.ClassMachine, "builds.git", nil},
		{"engine", "git:--upload-pack=x", git, wire.ClassRequest, "revision", nil},
		{"engine", "image:sha256:" + hex, have, wire.ClassMachine, "takes builds of the kinds self, sha256, git", nil},
		{"engine", "url:http://h:1", have, wire.ClassMachine, "takes builds", nil},
		{"engine", "frob:x", have, wire.ClassRequest, "unknown kind", nil},
		{"vllm", "self", have, wire.ClassMachine, "kinds image", nil},
		{"vllm", "image:latest", have, wire.ClassRequest, "64 hexadecimal", nil},
		{"vllm", "image:sha256:" + strings.Repeat("0", 64), have, wire.ClassMachine, "not allowed", nil},
		{"running", "self", have, wire.ClassMachine, "kinds url", nil},
		{"running", "url:http://elsewhere:1", have, wire.ClassMachine, "elsewhere", nil},
	} {
		p, err := resolve(result.Subject{Target: c.target, Build: c.build}, c.have)
		name := c.target + " " + c.build
		var we *wire.Error
		switch {
		case c.class == "" && (err != nil || !c.check(p)):
			t.Errorf("%s: %+v, %v", name, p, err)
		case c.class != "" && (!errors.As(err, &we) || we.Class != c.class || !strings.Contains(we.Message, c.says)):
			t.Errorf("%s: error %v, want class %s and %q", name, err, c.class, c.says)
		}
	}
}

func TestTargetsAreChecked(t *testing.T) {
	launch := &wire.Launch{Args: []string{"x"}}
	for name, c := range map[string]struct {
		t    Target
		says string
	}{
		"good":           {Target{Target: wire.Target{Driver: "openai", Launch: launch}, Accepts: []string{"git"}}, ""},
		"driver":         {Target{Target: wire.Target{Driver: "grpc", Launch: launch}}, "grpc"},
		"neither":        {Target{Target: wire.Target{Driver: "openai"}}, "url"},
		"both":           {Target{Target: wire.Target{Driver: "openai", URL: "http://h", Launch: launch}}, "both"},
		"unknown kind":   {Target{Target: wire.Target{Driver: "openai", Launch: launch}, Accepts: []string{"docker"}}, "docker"},
		"launch and url": {Target{Target: wire.Target{Driver: "openai", Launch: launch}, Accepts: []string{"url"}}, "running server"},
	} {
		err := c.t.Check()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// TestFilesAreVerified: a file that isn't what the configuration says is never started.
func TestFilesAreVerified(t *testing.T) {
	path := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ntouch \"$0.started\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	real, err := proc.Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("0", 64)
	o := testOrder()
	o.Subject.Build = "sha256:" + other
	c := newCoordinator(t, o)
	c.agent(t.TempDir(), "measures", func(cfg *Config) { cfg.Subjects.Binaries = map[string]string{other: path} })
	end := c.waitEnd()
	if end.Problem == nil || end.Problem.Class != wire.ClassMachine || !strings.Contains(end.Problem.Message, real) || !strings.Contains(end.Problem.Message, other) {
		t.Errorf("problem %+v, want the machine's with both digests", end.Problem)
	}
	if _, err := os.Stat(path + ".started"); err == nil {
		t.Error("it was started")
	}
}

func TestGreeting(t *testing.T) {
	hello := wire.Hello{Protocol: 1, Version: "0.1", BinaryHash: "aa", Revision: "c1"}
	for name, c := range map[string]struct {
		p    provided
		says string
	}{
		"an older worker drives its engine":   {provided{}, ""},
		"an older worker can't drive servers": {provided{target: &wire.Target{Driver: "openai"}}, "protocol 1"},
		"an older worker has no variants":     {provided{variant: "engine-w8"}, "no such variant of its engine"},
		"an older worker has no GPU":          {provided{variant: "engine-cuda"}, "target engine-cuda needs protocol 4"},
		"another file":                        {provided{hash: "bb"}, "replaced"},
		"another commit":                      {provided{revision: "c2"}, "must build the tree"},
		"as wanted":                           {provided{hash: "aa", revision: "c1"}, ""},
	} {
		err := c.p.greeted(&hello)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
