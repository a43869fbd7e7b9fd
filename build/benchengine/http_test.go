package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestFirstChoice(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"a token", ": hello\n\ndata: {\"choices\":[{\"text\":\"\"}]}\n\n", ""},
		{"after an event without one", "data: {\"choices\":[]}\n\ndata: {\"choices\":[{}]}\n\n", ""},
		{"none", "data: {\"usage\":{}}\n\n", "ended without a token"},
		{"the end mark", "data: [DONE]\n\n", "no JSON"},
		{"an error", "data: busy\n\n", "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := firstChoice(strings.NewReader(c.stream), time.Now())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestARefusedRequestIsQuoted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such model", http.StatusNotFound)
	}))
	defer s.Close()
	if _, err := timesToFirst(t.Context(), s.Client(), s.URL, 4, 100); err == nil || !strings.Contains(err.Error(), "404 Not Found: no such model") {
		t.Errorf("error %v", err)
	}
}

func TestAServerThatEndsIsNotAwaited(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if err := awaitReady(t.Context(), http.DefaultClient, "http://127.0.0.1:1", ended); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("error %v", err)
	}
}

func TestSharedRate(t *testing.T) {
	at := func(ms ...int) (times []time.Time) {
		for _, m := range ms {
			times = append(times, time.UnixMilli(int64(m)))
		}
		return times
	}
	// Both decode from 200 to 500 ms; in that time there are 3 + 3 tokens.
	rate, err := sharedRate([][]time.Time{at(100, 200, 300, 400, 500), at(200, 300, 400, 500, 600)})
	if err != nil || rate != 20 {
		t.Errorf("rate %v, %v, want 20", rate, err)
	}
	if _, err := sharedRate([][]time.Time{at(0, 100), at(100, 200)}); err == nil {
		t.Error("streams one after another have a rate")
	}
}

func TestPromptIDsDiffer(t *testing.T) {
	first := map[int32]bool{}
	for salt := range 40 {
		ids := promptIDs(16, salt, 100_000)
		if first[ids[0]] {
			t.Errorf("salt %d begins like another: a cached prefix would be found", salt)
		}
		first[ids[0]] = true
		for _, id := range ids {
			if id < 0 || id >= 100_000 {
				t.Errorf("id %d", id)
			}
		}
	}
}

func FuzzFirstChoice(f *testing.F) {
	f.Add("data: {\"choices\":[{\"text\":\"\"}]}\n\n")
	f.Add(": ping\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		took, err := firstChoice(strings.NewReader(stream), time.Now())
		if err == nil && (took < 0 || !strings.Contains(stream, "data:")) {
			t.Errorf("a token after %v in %q", took, stream)
		}
	})
}
