package calibrate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Truth is when a request's answer was really written, in ns of the server's clock.
type Truth struct {
	Received int64   `json:"received"`
	Written  []int64 `json:"written"` // of each token
}

// scripted is a server that answers with programmed timing: the first token so long after the request was read, the others
// at fixed distances from it, each written by itself. Deadlines are absolute, so that a late one moves no other.
type scripted struct {
	s  Script
	mu sync.Mutex // guards log
	// log are the answers in the order in which they ended; GET /truth empties it.
	log []Truth
}

// Script is the timing of a server.
type Script struct {
	First  time.Duration // from a request to its first token
	Gap    time.Duration // from a token to the next
	Tokens int           // of each answer
}

// Serve is a server that answers by a script, whatever it is asked, until ctx ends; it prints its address first. It belongs
// into a process of its own: what it takes of this one's cores would look like the client's.
func Serve(ctx context.Context, script Script, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	if _, err := fmt.Fprintf(stdout, "http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: &scripted{s: script}, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/models":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"scripted","object":"model"}]}`)
	case "/v1/chat/completions", "/v1/completions":
		s.complete(w, r)
	case "/truth":
		s.mu.Lock()
		log := s.log
		s.log = nil
		s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(log) // who asks goes on without it
	default:
		http.NotFound(w, r)
	}
}

func (s *scripted) complete(w http.ResponseWriter, r *http.Request) {
	t := Truth{Received: now(), Written: make([]int64, 0, s.s.Tokens)}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	flusher, ok := w.(http.Flusher)
	if !ok {
		http.Error(w, "no streaming here", http.StatusInternalServerError)
		return
	}
	defer exact()()
	w.Header().Set("Content-Type", "text/event-stream")
	const head = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"scripted","choices":[`
	write := func(text string) {
		_, _ = io.WriteString(w, text) // a client that left is none of the truth
		flusher.Flush()
	}
	write(head + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n")
	for i := range s.s.Tokens {
		finish := "null"
		if i == s.s.Tokens-1 {
			finish = `"length"`
		}
		if at := t.Received + s.s.First.Nanoseconds() + int64(i)*s.s.Gap.Nanoseconds(); at > now() {
			sleepUntil(at)
		}
		t.Written = append(t.Written, now()) // just before the bytes go
		write(head + `{"index":0,"delta":{"content":" the"},"finish_reason":` + finish + `}]}` + "\n\n")
	}
	write(head + fmt.Sprintf(`],"usage":{"prompt_tokens":100,"completion_tokens":%d,"total_tokens":%d}}`, s.s.Tokens, 100+s.s.Tokens) + "\n\ndata: [DONE]\n\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, t)
}

// Start starts a command that calls Serve, and gives the address that it prints. stop ends it.
func Start(c *exec.Cmd) (url string, stop func() error, err error) {
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := c.Start(); err != nil {
		return "", nil, fmt.Errorf("start a server of known timing: %w", err)
	}
	stop = func() error {
		err := c.Process.Kill()
		_ = c.Wait() // it was killed
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("start a server of known timing: it says no address: %w", err), stop())
	}
	return strings.TrimSpace(line), stop, nil
}
