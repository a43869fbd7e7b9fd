//go:build native

package serve_test

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/bench/target/targettest"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/engine/serve"
)

// TestConformance: measured over HTTP by the client that measures every other server.
func TestConformance(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(dir); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), engine.Options{ModelDir: dir, MaxContext: 1024})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := serve.New(e, serve.Options{Name: "robots", Build: map[string]string{"build": "test-build"}})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	for _, api := range []string{"chat", "completion"} {
		t.Run(api, func(t *testing.T) {
			targettest.Run(t, targettest.Config{API: api, Text: "Write a short story about a robot.", Open: func(t *testing.T) target.Target {
				tg, err := openai.Open(t.Context(), openai.Options{URL: h.URL})
				if err != nil {
					t.Fatal(err)
				}
				return tg
			}})
		})
	}
	tg, err := openai.Open(t.Context(), openai.Options{URL: h.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	id, err := tg.Identity(t.Context())
	if err != nil || id.Engine != "paceline" || id.Build != "test-build" {
		t.Errorf("identity %+v, %v", id, err)
	}
	if n := tg.Notes(); len(n) != 0 {
		t.Errorf("something could not be asked: %q", n)
	}
	reply, err := tg.Do(t.Context(), target.Request{ID: "all", API: "chat", Text: "Hello", MaxTokens: 8, IgnoreEOS: true, TopK: 5, TopP: 0.5, Temperature: 0.5, Seed: 3, Stream: true, NoCache: true}, func(target.Event) {})
	if err != nil || *reply.Tokens.Usage != 8 || reply.Prompt == 0 || len(tg.Notes()) != 0 {
		t.Errorf("%+v, %v, notes %q", reply, err, tg.Notes())
	}
}
