//go:build real

package page_test

import (
	"context"
	"flag"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/dashboard/report"
)

var update = flag.Bool("update", false, "write the picture of the README")

// browser is a Chromium whose complaints and requests are kept.
type browser struct {
	t      *testing.T
	ctx    context.Context
	mu     sync.Mutex
	errors []string
	asked  []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium: install Debian's package chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	alloc, end := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return b
}

// hear keeps what a page complains of and whom it asks.
func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b.errors = append(b.errors, "console."+string(e.Type))
		}
	case *log.EventEntryAdded: // policy violations come here
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.errors = append(b.errors, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	}
}

// open shows a page in a size and a colour scheme.
func (b *browser) open(address string, width, height int64, scheme string) {
	b.t.Helper()
	b.mu.Lock()
	b.errors, b.asked = nil, nil
	b.mu.Unlock()
	media := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height), media, chromedp.Navigate(address)); err != nil {
		b.t.Fatalf("open %s: %v", address, err)
	}
}

// ask evaluates an expression on the page.
func ask[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// clean checks that nothing was complained of and nobody else was asked.
func (b *browser) clean(host string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("the page complains: %s", e)
	}
	for _, a := range b.asked {
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "data" && u.Host != host {
			b.t.Errorf("the page asked %s", a)
		}
	}
	if len(b.asked) == 0 {
		b.t.Error("no request was seen: the test is blind")
	}
}

func (b *browser) picture(path string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// drawn counts the charts of a page whose canvas has more than one colour.
const drawn = `[...document.querySelectorAll(".chart canvas")].filter(c => {
	const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; const seen = new Set();
	for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 24 | d[i+1] << 16 | d[i+2] << 8 | d[i+3]);
	return seen.size > 3; }).length`

func pictures(t *testing.T) string {
	if dir := os.Getenv("PACELINE_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}

func TestRealBrowser(t *testing.T) {
	w := newWorld(t)
	w.fill()
	srv := httptest.NewServer(w.handler)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	_, first := w.get("/")
	trend := address(t, first, "/trend?series=")
	w.running("live-1")
	b := newBrowser(t)
	dir := pictures(t)
	host := strings.TrimPrefix(srv.URL, "http://")
	for _, p := range []struct {
		name, path string
		charts     int
		has        []string
	}{
		{"overview", "/", 0, []string{"1 regression", "29.9 tok/s", "worse"}},
		{"trend", trend, 1, []string{"fails below", "29.9 tok/s", "Candle adapter"}},
		{"run", "/runs/slow-2f81", 2, []string{"fail", "exit 1", "29.9 tok/s", "39.1 tok/s"}},
		{"live", "/runs/live-1", 0, []string{"running"}},
		{"runs", "/runs", 0, []string{"slow-2f81"}},
	} {
		for _, size := range []struct {
			name          string
			width, height int64
			scheme        string
		}{{"desktop-light", 1280, 900, "light"}, {"desktop-dark", 1280, 900, "dark"}, {"phone-light", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}} {
			t.Run(p.name+"/"+size.name, func(t *testing.T) {
				b.t = t
				b.open(srv.URL+p.path, size.width, size.height, size.scheme)
				text := ask[string](b, "document.body.innerText")
				for _, h := range p.has {
					if !strings.Contains(text, h) {
						t.Errorf("the page doesn't show %q", h)
					}
				}
				if n := ask[int](b, drawn); n < p.charts {
					t.Errorf("%d charts are drawn, want %d", n, p.charts)
				}
				if over := ask[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
					t.Errorf("the page is %d px wider than the screen", over)
				}
				b.picture(filepath.Join(dir, p.name+"-"+size.name+".png"))
				b.clean(host)
			})
		}
	}
	b.t = t
	if *update {
		b.open(srv.URL+"/", 1280, 700, "light")
		b.picture(filepath.Join("..", "..", "docs", "dashboard.png"))
	}
}

// TestRealReport opens a report from the disk.
func TestRealReport(t *testing.T) {
	w := newWorld(t)
	w.fill()
	path := filepath.Join(t.TempDir(), "out.html")
	f, err := os.Create(path)
	w.must(err)
	w.must(report.Render(f, report.Input{
		Document: w.doc["slow-2f81"], Baseline: w.last, Now: w.clock.Now(), Version: "test",
		Samples: func(f func(result.Sample) error) error { return eachSample(w.doc["slow-2f81"], f) },
	}))
	w.must(f.Close())
	b := newBrowser(t)
	b.open("file://"+path, 1280, 900, "light")
	text := ask[string](b, "document.body.innerText")
	for _, h := range []string{"fail", "29.9 tok/s", "39.1 tok/s", "kernel"} {
		if !strings.Contains(text, h) {
			t.Errorf("the report doesn't show %q", h)
		}
	}
	if n := ask[int](b, drawn); n != 2 {
		t.Errorf("%d charts are drawn, want 2", n)
	}
	b.picture(filepath.Join(pictures(t), "report.png"))
	b.clean("")
}
