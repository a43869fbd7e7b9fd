//go:build native

package serve

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/paceline/paceline/engine"
)

// recorded is a request as a client sent it.
type recorded struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

// TestGuideLLMsRequests sends what GuideLLM 0.8.1 sends (docs/serve.md has the command), four at a time,
// and reads usage as it does: from the chunks. The client itself, with torch, is 6 GB.
func TestGuideLLMsRequests(t *testing.T) {
	f, err := os.Open("testdata/guidellm-0.8.1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []recorded
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	e := robots(t, engine.Options{})
	s, err := New(e, Options{Name: "robot-stories"})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	var (
		wg             sync.WaitGroup
		mu             sync.Mutex
		output, prompt int
		answers        int
		turns          = make(chan struct{}, 4)
	)
	for _, r := range list {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			q, err := http.NewRequestWithContext(t.Context(), r.Method, h.URL+r.Path, strings.NewReader(r.Body))
			if err != nil {
				t.Error(err)
				return
			}
			for k, v := range r.Header {
				if k != "Accept-Encoding" { // which Go's client asks for and undoes by itself
					q.Header.Set(k, v)
				}
			}
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s %s: %d", r.Method, r.Path, resp.StatusCode)
				return
			}
			if r.Method != http.MethodPost {
				return
			}
			var last *usage
			text, done := "", false
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				data, ok := strings.CutPrefix(lines.Text(), "data: ")
				if !ok {
					continue
				}
				if data == "[DONE]" {
					done = true
					continue
				}
				var a answer
				if err := json.Unmarshal([]byte(data), &a); err != nil || a.Usage == nil {
					t.Errorf("a chunk without usage: %v %s", err, data)
					return
				}
				last = a.Usage
				for _, c := range a.Choices {
					if c.Delta != nil && c.Delta.Content != nil {
						text += *c.Delta.Content
					}
				}
			}
			if !done || last == nil || text == "" {
				t.Errorf("end marker %v, usage %+v, text %q", done, last, text)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers++
			output += last.Completion
			prompt += last.Prompt
		})
	}
	wg.Wait()
	st := e.Stats()
	if answers != len(list)-1 || output != 32*answers || uint64(output) != st.OutputTokens || uint64(prompt) != st.PromptTokens+st.CachedTokens {
		t.Errorf("the client counts %d answers with %d tokens and %d of prompts; the engine %+v", answers, output, prompt, st)
	}
}
