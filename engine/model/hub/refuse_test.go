package hub

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/model"
)

func TestTokenStaysWithTheHub(t *testing.T) {
	b := newBench(t, shipped(t))
	b.o.Token = secret + "\n"
	b.must("org/robots")
	hub, cdn := 0, 0
	for _, q := range b.Requests() {
		switch {
		case q.CDN && q.Auth != "":
			t.Errorf("the CDN was sent the token: %+v", q)
		case q.CDN:
			cdn++
		case q.Auth != "Bearer "+secret:
			t.Errorf("the hub got %q", q.Auth)
		default:
			hub++
		}
	}
	if hub == 0 || cdn == 0 {
		t.Errorf("%d requests to the hub, %d to the CDN", hub, cdn)
	}
	for status := 400; status < 600; status++ {
		b := newBench(t, shipped(t))
		b.o.Token = secret
		b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, r.Header.Get("Authorization"), status)
			return true
		})
		if _, err := b.pull("org/robots"); err == nil || strings.Contains(err.Error(), secret) {
			t.Fatalf("%d: %v", status, err)
		}
		status += 6
	}
}

func TestPullRefusals(t *testing.T) {
	answer := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	list := func(body string) func(http.ResponseWriter, *http.Request) bool {
		return answer(200, "application/json", body)
	}
	for name, c := range map[string]struct {
		model string
		set   func(*bench)
		fault func(http.ResponseWriter, *http.Request) bool
		kind  error
		says  string
	}{
		"no such model":    {model: "org/other", kind: ErrRequest, says: "no model org/other that is open"},
		"no such revision": {model: "org/robots@v9", kind: ErrRequest, says: `no revision "v9"`},
		"web page":         {fault: answer(200, "text/html; charset=utf-8", "<html>log in"), kind: ErrNetwork, says: "web page"},
		"no JSON":          {fault: list("<html>"), kind: ErrNetwork, says: "can't be used"},
		"traversal":        {fault: list(`{"sha":"` + sha + `","siblings":[{"rfilename":"../../../x"}]}`), kind: ErrNetwork, says: "leads out"},
		"no weights":       {fault: list(`{"sha":"` + sha + `","siblings":[{"rfilename":"config.json"},{"rfilename":"a.gguf"}]}`), kind: ErrRequest, says: "a.gguf"},
		"another commit":   {model: "org/robots@" + strings.Repeat("b", 40), fault: list(`{"sha":"` + sha + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`), kind: ErrNetwork, says: "asked for bbbb"},
		"forbidden":        {fault: answer(403, "text/plain", ""), kind: ErrRequest, says: "403"},
		"too often":        {fault: answer(429, "text/plain", ""), kind: ErrNetwork, says: "429"},
		"broken":           {fault: answer(502, "text/html", "<html>"), kind: ErrNetwork, says: "502 Bad Gateway"},
		"nobody there":     {set: func(b *bench) { b.o.Endpoint = "http://127.0.0.1:1" }, kind: ErrNetwork, says: "can't be reached"},
		"no address":       {set: func(b *bench) { b.o.Endpoint = "huggingface.co" }, kind: ErrRequest, says: "HF_ENDPOINT"},
		"with a password":  {set: func(b *bench) { b.o.Endpoint = "http://me:" + secret + "@host" }, kind: ErrRequest, says: "HF_ENDPOINT has a user"},
		"token of two":     {set: func(b *bench) { b.o.Token = secret + "\n" + secret }, kind: ErrRequest, says: "HF_TOKEN has characters"},
		"full disk": {set: func(b *bench) {
			b.o.Free = func(string) (int64, error) { return 1 << 20, nil }
		}, kind: ErrDisk, says: "needs 3 MB more and 1 MB are free"},
		"absurd size": {fault: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.Header().Set("ETag", sha)
				w.Header().Set("Content-Length", "8000000000000000000")
			}
			return r.Method == http.MethodHead
		}, kind: ErrNetwork, says: "its size is"},
		"too much": {fault: func(w http.ResponseWriter, r *http.Request) bool {
			if weights(r) {
				_, _ = w.Write(make([]byte, 4<<20))
			}
			return weights(r)
		}, kind: ErrNetwork, says: "sends more of"},
		"another range": {set: func(b *bench) { plant(b.t, b, weightsFile, b.files[weightsFile][:100]) }, fault: func(w http.ResponseWriter, r *http.Request) bool {
			if weights(r) {
				w.Header().Set("Content-Range", "bytes 0-9/10")
				w.WriteHeader(http.StatusPartialContent)
			}
			return weights(r)
		}, kind: ErrNetwork, says: "Content-Range"},
		"a page for weights": {fault: func(w http.ResponseWriter, r *http.Request) bool {
			return weights(r) && answer(200, "text/html", "<html>")(w, r)
		}, kind: ErrNetwork, says: "web page instead of model.safetensors"},
		"an expired address": {fault: func(w http.ResponseWriter, r *http.Request) bool {
			return weights(r) && answer(403, "application/xml", "<Error>")(w, r)
		}, kind: ErrNetwork, says: "keeps model.safetensors, answered 403 Forbidden"},
		"stalls": {set: func(b *bench) { b.o.Stall = 20 * time.Millisecond }, fault: func(w http.ResponseWriter, r *http.Request) bool {
			if weights(r) {
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			return weights(r)
		}, kind: ErrNetwork, says: "nothing has arrived for 20ms"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, shipped(t))
			if c.set != nil {
				c.set(b)
			}
			b.Fault(c.fault)
			if c.model == "" {
				c.model = "org/robots"
			}
			_, err := b.pull(c.model)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
				t.Errorf("%v; want %v, %q", err, c.kind, c.says)
			}
			b.nothing()
		})
	}
}

func TestUnsupportedModel(t *testing.T) {
	files := shipped(t)
	files[configFile] = []byte(`{"architectures":["MambaForCausalLM"],"model_type":"mamba"}`)
	b := newBench(t, files)
	if _, err := b.pull("org/robots"); !errors.Is(err, ErrRequest) || !errors.Is(err, model.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	for _, q := range b.Requests() {
		if strings.Contains(q.Path, weightsFile) {
			t.Errorf("the weights were asked for: %+v", q)
		}
	}
	b.nothing()
	b.o.Any = true
	b.must("org/robots")
}

// TestRenamed: a hub leads from a model's old name to its new one, and still gets the
// token there.
func TestRenamed(t *testing.T) {
	b := newBench(t, shipped(t))
	b.o.Token = secret
	b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		to := strings.Replace(r.URL.Path, "org/old", "org/robots", 1)
		if to == r.URL.Path {
			return false
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		return true
	})
	r := b.must("org/old")
	if !strings.Contains(r.Dir, "models--org--old") {
		t.Errorf("it lies in %s, want the name that was asked for", r.Dir)
	}
	for _, q := range b.Requests() {
		if (q.Auth != "") == q.CDN {
			t.Errorf("%+v", q)
		}
	}
}
