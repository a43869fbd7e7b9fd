//go:build native

package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/paceline/paceline/engine"
)

// TestAThousandAtOnce: on a cache of a few pages, behind sixteen places. Who has no place is told
// when to come back; who has one gets what it would get alone; and nothing is left behind.
func TestAThousandAtOnce(t *testing.T) {
	const requests, seeds = 1000, 8
	e := robots(t, engine.Options{KVBytes: 5 * 192 << 10, MaxContext: 256, Faults: []engine.Fault{{Kind: engine.FaultStall, Factor: 0.01, Every: 1}}})
	pages := e.Stats().PagesTotal
	if pages > 12 {
		t.Fatalf("%d pages: nobody would wait for one", pages)
	}
	s, err := New(e, Options{Name: "robots", MaxRequests: 16})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	h := httptest.NewServer(s)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	ask := func(seed int, stream bool) (*http.Response, string) {
		body := fmt.Sprintf(`{"prompt":"Once upon","max_tokens":12,"ignore_eos":true,"seed":%d,"stream":%v}`, seed, stream)
		resp, err := client.Post(h.URL+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return nil, ""
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp, string(b)
	}
	var want [seeds]string
	for i := range want {
		_, body := ask(i, false)
		var a answer
		if err := json.Unmarshal([]byte(body), &a); err != nil || text(a) == "" {
			t.Fatalf("%v: %s", err, body)
		}
		want[i] = text(a)
	}
	var (
		wg         sync.WaitGroup
		mu         sync.Mutex
		done, full int
	)
	for i := range requests {
		wg.Go(func() {
			resp, body := ask(i%seeds, i%2 == 1)
			if resp == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch resp.StatusCode {
			case http.StatusOK:
				done++
				var list []answer
				for _, line := range strings.Split(body, "\n") {
					line = strings.TrimPrefix(line, "data: ")
					var a answer
					if json.Unmarshal([]byte(line), &a) == nil {
						list = append(list, a)
					}
				}
				if text(list...) != want[i%seeds] {
					t.Errorf("seed %d: %q, alone %q", i%seeds, text(list...), want[i%seeds])
				}
			case http.StatusTooManyRequests:
				full++
				if resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"rate_limit_error"`) {
					t.Errorf("429 with Retry-After %q: %s", resp.Header.Get("Retry-After"), body)
				}
			default:
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if done+full != requests || done < 16 || full == 0 {
		t.Errorf("%d answered and %d refused of %d", done, full, requests)
	}
	st := e.Stats()
	if st.PagesUsed != 0 || st.PagesPeak > pages || st.Requests != uint64(done+seeds) || s.places.used.Load() != 0 {
		t.Errorf("%+v, %d places taken, %d requests answered", st, s.places.used.Load(), done)
	}
	client.CloseIdleConnections()
	h.Close()
	eventually(t, func() bool { return runtime.NumGoroutine() <= before })
}

// TestDisconnectInPrefill: a client that leaves while its prompt is computed frees its pages
// within a step, before there was a token.
func TestDisconnectInPrefill(t *testing.T) {
	e := robots(t, engine.Options{MaxContext: 4096, Faults: []engine.Fault{{Kind: engine.FaultStall, Factor: 0.1, Every: 1}}})
	s := newServer(t, e, Options{})
	prompt, err := json.Marshal(make([]int32, 4000))
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{false, true} {
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/completions",
			strings.NewReader(fmt.Sprintf(`{"prompt":%s,"max_tokens":50,"stream":%v}`, prompt, stream)))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			resp, err := http.DefaultClient.Do(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			ended <- err
		}()
		eventually(t, func() bool { return e.Stats().PagesUsed > 0 })
		hangUp()
		if err := <-ended; err == nil {
			t.Error("there was an answer already: nothing was cancelled")
		}
		eventually(t, func() bool { return s.places.used.Load() == 0 })
		if used := e.Stats().PagesUsed; used != 0 {
			t.Errorf("%d pages in use after the client left", used)
		}
	}
	if st := e.Stats(); st.Cancelled != 2 || st.OutputTokens != 0 || st.PromptTokens >= 8000 {
		t.Errorf("%+v: want two requests cancelled in their prompts", st)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, "paceline_first_token_seconds_count 0\n") {
		t.Error("a first token was counted")
	}
	if status, _ := s.post("/v1/completions", `{"prompt":"a","max_tokens":2}`); status != 200 {
		t.Errorf("the next request: %d", status)
	}
}
