package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/bench/target/targettest"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/proc/proctest"
)

// TestMain lets this test binary be the server that is started.
func TestMain(m *testing.M) {
	if mode := os.Getenv("PACELINE_TEST_SERVER"); mode != "" {
		os.Exit(playServer(mode, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func playServer(mode string, args []string) int {
	fmt.Println("loading weights")
	switch mode {
	case "broken":
		fmt.Fprintln(os.Stderr, "CUDA error: out of memory")
		return 3
	case "deaf":
		for {
			time.Sleep(time.Hour) // until it is killed
		}
	case "parent": // a shell-like program whose child holds the port
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), "PACELINE_TEST_SERVER=good")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return 1
		}
		if err := os.WriteFile(os.Getenv("PID_FILE"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			return 1
		}
		_ = cmd.Wait()
		return 0
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var h http.Handler = targettest.NewServer(targettest.Behaviour{})
	switch mode {
	case "unhealthy":
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	case "failing":
		h = targettest.NewServer(targettest.Behaviour{Status: 500})
	case "dies":
		inner := h
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				fmt.Fprintln(os.Stderr, "segmentation fault in attention.cu")
				os.Exit(139)
			}
			inner.ServeHTTP(w, r)
		})
	}
	_ = http.Serve(ln, h)
	return 0
}

func recipe(t *testing.T, mode string) Recipe {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Recipe{Args: []string{self, "{port}"}, Env: []string{"PACELINE_TEST_SERVER=" + mode}}
}

func connect(ctx context.Context, url string) (target.Target, error) {
	return openai.Open(ctx, openai.Options{URL: url})
}

func TestConformance(t *testing.T) {
	targettest.Run(t, targettest.Config{API: "chat", Text: "Write a short story about a robot.", Open: func(t *testing.T) target.Target {
		s, err := Start(t.Context(), Options{Recipe: recipe(t, "good"), Connect: connect})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}

func TestIdentityAndMemoryAreThoseOfTheProcess(t *testing.T) {
	s, err := Start(t.Context(), Options{Recipe: recipe(t, "good"), Connect: connect})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := proc.Digest(self)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Identity(t.Context()); err != nil || id.BinaryHash != want {
		t.Errorf("identity %+v, %v; want hash %s", id, err, want)
	}
	if u, err := s.Usage(t.Context()); err != nil || u.ProcessRSSPeak == nil || u.InUse == nil || *u.InUse < 1<<20 || *u.ProcessRSSPeak < *u.InUse {
		t.Errorf("usage %+v, %v", u, err)
	}
	if age := time.Since(s.Started()); age < 0 || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
}

// TestServersThatDontStart: one error each, with the server's own last words.
func TestServersThatDontStart(t *testing.T) {
	for mode, says := range map[string][]string{
		"broken":    {"ended before it was ready", "exit status 3", "CUDA error: out of memory", "loading weights"},
		"deaf":      {"not ready after 300ms", "refused", "loading weights"},
		"unhealthy": {"not ready after 300ms", "/health", "503"},
		"failing":   {"500", "programmed to fail"},
	} {
		t.Run(mode, func(t *testing.T) {
			r := recipe(t, mode)
			if mode == "deaf" || mode == "unhealthy" {
				r.ReadyTimeout = 300 * time.Millisecond
			}
			_, err := Start(t.Context(), Options{Recipe: r, Connect: connect})
			for _, s := range says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("error %v doesn't say %q", err, s)
				}
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		_, err := Start(t.Context(), Options{Recipe: Recipe{Args: []string{"/nowhere/llama-server"}}, Connect: connect})
		if err == nil || !strings.Contains(err.Error(), "/nowhere/llama-server") {
			t.Errorf("error %v", err)
		}
	})
}

func TestServerThatDiesIsNamed(t *testing.T) {
	s, err := Start(t.Context(), Options{Recipe: recipe(t, "dies"), Connect: connect})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func() error {
		_, err := s.Do(t.Context(), target.Request{API: "chat", Text: "x", MaxTokens: 4, Stream: true}, func(target.Event) {})
		return err
	}
	if ask() == nil {
		t.Fatal("a dead server answered")
	}
	<-s.child.Ended()
	if err := ask(); err == nil || !strings.Contains(err.Error(), "segmentation fault") {
		t.Errorf("error %v", err)
	}
}

// TestNothingIsLeftBehind: closing ends the whole tree, and so does the end of the
// context.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, how := range []string{"close", "context"} {
		t.Run(how, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			r := recipe(t, "parent")
			r.Env = append(r.Env, "PID_FILE="+pidFile)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := Start(ctx, Options{Recipe: r, Connect: connect})
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(string(b))
			if err != nil {
				t.Fatal(err)
			}
			if how == "context" {
				cancel()
				<-s.child.Ended()
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			proctest.WaitGone(t, pid, 10*time.Second)
		})
	}
}

func TestRecipes(t *testing.T) {
	r := Recipe{
		Args: []string{"serve", "--port={port}", "--model", "{model}", `{"json": {"a": 1}}`, "{", "{}"}, Env: []string{"IMAGE={image}"},
		Values: map[string]string{"model": "/m", "image": "repo@sha256:1"},
	}
	got, err := r.filled(8001)
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(append(got.Args, got.Env...), " "); s != `serve --port=8001 --model /m {"json": {"a": 1}} { {} IMAGE=repo@sha256:1` {
		t.Errorf("filled %s", s)
	}
	if got.URL != "http://127.0.0.1:8001" || got.Ready != "/health" || got.ReadyTimeout != defaultTimeout {
		t.Errorf("defaults %+v", got)
	}
	for name, c := range map[string]struct {
		r    Recipe
		says string
	}{
		"nothing":     {Recipe{}, "no program"},
		"a near name": {Recipe{Args: []string{"x", "{prot}"}}, "did you mean {port}"},
		"no model":    {Recipe{Args: []string{"x", "{model}"}}, "{model}"},
		"ready":       {Recipe{Args: []string{"x"}, Ready: "health"}, "begin with /"},
		"environment": {Recipe{Args: []string{"x"}, Env: []string{"A"}}, "NAME=value"},
	} {
		if err := c.r.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
