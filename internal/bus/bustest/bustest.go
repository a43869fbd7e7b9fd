// Package bustest is the conformance suite of internal/bus.Bus.
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/internal/bus"
)

// Run holds a bus to the contract; open gives a fresh one for each test.
func Run(t *testing.T, open func(t *testing.T) bus.Bus) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, bus.Bus)
	}{
		{"request and answer", requestAnswer},
		{"nobody answers", nobodyAnswers},
		{"a request ends with its context", requestContext},
		{"a queue shares requests", queueShares},
		{"announcements reach every listener in order", announcements},
		{"wildcards", wildcards},
		{"stop waits for the handler", stopWaits},
		{"too large", tooLarge},
		{"bad subject", badSubject},
		{"the caller keeps its buffer", ownBuffer},
		{"closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() { _ = b.Close() })
			c.test(t, b)
		})
	}
}

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func requestAnswer(t *testing.T, b bus.Bus) {
	must[func()](t)(b.Serve("rpc.*.claim", "q", func(_ context.Context, subject string, data []byte) []byte {
		return fmt.Appendf(nil, "%s:%s", subject, data)
	}))
	got := must[[]byte](t)(b.Request(ctx(t), "rpc.a1.claim", []byte("hello")))
	if want := "rpc.a1.claim:hello"; string(got) != want {
		t.Errorf("answer %q, want %q", got, want)
	}
}

func nobodyAnswers(t *testing.T, b bus.Bus) {
	if _, err := b.Request(ctx(t), "rpc.a1.claim", nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Errorf("error %v, want ErrNoResponders", err)
	}
}

func requestContext(t *testing.T, b bus.Bus) {
	release := make(chan struct{})
	defer close(release)
	must[func()](t)(b.Serve("slow", "q", func(context.Context, string, []byte) []byte { <-release; return nil }))
	c, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Request(c, "slow", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

func queueShares(t *testing.T, b bus.Bus) {
	var total atomic.Int32
	for range 3 {
		must[func()](t)(b.Serve("work", "q", func(context.Context, string, []byte) []byte { total.Add(1); return nil }))
	}
	for range 60 {
		must[[]byte](t)(b.Request(ctx(t), "work", nil))
	}
	if got := total.Load(); got != 60 {
		t.Errorf("handled %d times, want each of 60 requests once", got)
	}
}

func announcements(t *testing.T, b bus.Bus) {
	const n = 200
	var wg sync.WaitGroup
	var got [2][]byte
	for i := range got {
		wg.Add(1)
		must[func()](t)(b.Subscribe("live.r1", func(_ string, d []byte) {
			if got[i] = append(got[i], d...); len(got[i]) == n {
				wg.Done()
			}
		}))
	}
	var want []byte
	for i := range n {
		want = append(want, byte(i))
		if err := b.Publish(ctx(t), "live.r1", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, &wg)
	for i := range got {
		if !bytes.Equal(got[i], want) {
			t.Errorf("listener %d heard %v", i, got[i])
		}
	}
}

func wildcards(t *testing.T, b bus.Bus) {
	var wg sync.WaitGroup
	wg.Add(2)
	must[func()](t)(b.Subscribe("changed.>", func(string, []byte) { wg.Done() }))
	for _, s := range []string{"other.x", "changed", "changed.a", "changed.a.b"} {
		if err := b.Publish(ctx(t), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, &wg)
}

func stopWaits(t *testing.T, b bus.Bus) {
	entered, release := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	stop := must[func()](t)(b.Serve("s", "q", func(context.Context, string, []byte) []byte {
		close(entered)
		<-release
		finished.Store(true)
		return nil
	}))
	go func() { _, _ = b.Request(context.WithoutCancel(t.Context()), "s", nil) }()
	<-entered
	go func() { close(release) }()
	stop()
	if !finished.Load() {
		t.Error("stop returned while the handler was running")
	}
	if _, err := b.Request(ctx(t), "s", nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Errorf("after stop: error %v, want ErrNoResponders", err)
	}
}

func tooLarge(t *testing.T, b bus.Bus) {
	if err := b.Publish(ctx(t), "x", make([]byte, bus.MaxMessageBytes+1)); err == nil {
		t.Error("a message over the limit was taken")
	}
}

func badSubject(t *testing.T, b bus.Bus) {
	for _, s := range []string{"", "a b", "a.*", "a.>", "a\nb"} {
		if err := b.Publish(ctx(t), s, nil); err == nil {
			t.Errorf("subject %q was taken", s)
		}
	}
}

func ownBuffer(t *testing.T, b bus.Bus) {
	heard := make(chan string, 1)
	must[func()](t)(b.Subscribe("x", func(_ string, d []byte) { heard <- string(d) }))
	buf := []byte("first")
	if err := b.Publish(ctx(t), "x", buf); err != nil {
		t.Fatal(err)
	}
	copy(buf, "XXXXX")
	select {
	case got := <-heard:
		if got != "first" {
			t.Errorf("heard %q", got)
		}
	case <-ctx(t).Done():
		t.Fatal("heard nothing")
	}
}

func closed(t *testing.T, b bus.Bus) {
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(ctx(t), "x", nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("publish: error %v, want ErrClosed", err)
	}
	if _, err := b.Request(ctx(t), "x", nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("request: error %v, want ErrClosed", err)
	}
}

func waitFor(t *testing.T, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx(t).Done():
		t.Fatal("not everything was heard")
	}
}
