package openai

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// hangingUp is a server that answers each connection's first requests and hangs up on
// the next one, after it was sent, as servers do that close a kept connection while
// the client uses it again.
type hangingUp struct {
	url    string
	answer int          // requests of a connection that are answered
	asked  atomic.Int32 // completions, also those that were hung up on
}

func hangUpAfter(t *testing.T, answer int) *hangingUp {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	h := &hangingUp{url: "http://" + ln.Addr().String(), answer: answer}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go h.serve(c)
		}
	}()
	return h
}

func (h *hangingUp) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for n := 0; ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		body, kind := `{"data":[{"id":"m","owned_by":"x"}]}`, "application/json"
		if strings.HasSuffix(r.URL.Path, "completions") {
			h.asked.Add(1)
			if n++; n > h.answer {
				return
			}
			kind = "text/event-stream"
			body = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
		} else if !strings.HasSuffix(r.URL.Path, "models") {
			fmt.Fprint(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	}
}

// TestHungUpOnAKeptConnection: what a server closes between two requests is its right;
// the request goes out again on a new connection, and a note says so.
func TestHungUpOnAKeptConnection(t *testing.T) {
	h := hangUpAfter(t, 2)
	tg := open(t, Options{URL: h.url})
	for i := range 6 {
		reply, _, err := ask(t, tg, nil)
		if err != nil || reply.Text != "hello" {
			t.Fatalf("request %d: %q, %v", i+1, reply.Text, err)
		}
		if reply.Written.IsZero() || reply.FirstByte.Before(reply.Written) {
			t.Errorf("request %d: written %v, first byte %v", i+1, reply.Written, reply.FirstByte)
		}
	}
	notes := strings.Join(tg.Notes(), " ")
	if n := h.asked.Load(); n != 8 || !strings.Contains(notes, "closed 2 kept connections") {
		t.Errorf("it was asked %d times, notes %q", n, notes)
	}
}

// TestServerThatKeepsNone: one that closes every connection, whatever it announces, is
// found out, and no request is sent twice any more.
func TestServerThatKeepsNone(t *testing.T) {
	h := hangUpAfter(t, 1)
	tg := open(t, Options{URL: h.url})
	const n = 20
	for i := range n {
		if reply, _, err := ask(t, tg, nil); err != nil || reply.Text != "hello" {
			t.Fatalf("request %d: %q, %v", i+1, reply.Text, err)
		}
	}
	if got := h.asked.Load(); got != n+hangsUp {
		t.Errorf("%d requests reached it %d times, want %d", n, got, n+hangsUp)
	}
	if notes := strings.Join(tg.Notes(), " "); !strings.Contains(notes, "each request has one of its own") {
		t.Errorf("notes %q", notes)
	}
}

// TestHungUpOnANewConnection: a server that hangs up on whoever comes is broken.
func TestHungUpOnANewConnection(t *testing.T) {
	h := hangUpAfter(t, 0)
	tg := open(t, Options{URL: h.url})
	if _, _, err := ask(t, tg, nil); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("got %v", err)
	}
	if n := h.asked.Load(); n > 2 {
		t.Errorf("it was asked %d times", n)
	}
}
