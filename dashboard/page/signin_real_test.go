//go:build real

package page_test

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestRealSignIn signs in and out as a person does, in a browser that enforces the
// policy and keeps the cookie.
func TestRealSignIn(t *testing.T) {
	d := door()
	d.Secure = false // the test's server has no TLS
	w := newWorldBehind(t, d)
	w.fill()
	srv := httptest.NewServer(w.handler)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	b := newBrowser(t)
	host := strings.TrimPrefix(srv.URL, "http://")
	shows := func(want, not string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the click's page may still be on its way
			text := ask[string](b, "document.body ? document.body.innerText : ''")
			if strings.Contains(text, want) && !strings.Contains(text, not) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("want %q and not %q in: %.400s", want, not, text)
			}
		}
	}
	send := func(token string) {
		t.Helper()
		err := chromedp.Do(b.ctx, chromedp.SendKeys(`input[name="token"]`, token), chromedp.Click(`form[action="/signin"] button`))
		if err != nil {
			t.Fatal(err)
		}
	}
	b.open(srv.URL+"/runs/slow-2f81", 390, 844, "dark")
	shows("Sign in", "29.9 tok/s")
	if over := ask[int](b, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		t.Errorf("the page is %d px wider than a phone", over)
	}
	b.picture(filepath.Join(pictures(t), "signin-phone-dark.png"))
	send("wrong")
	shows("not known here", "29.9 tok/s")
	send("reads")
	shows("29.9 tok/s", "Sign in")
	if at := ask[string](b, "location.pathname"); at != "/runs/slow-2f81" {
		t.Errorf("signed in, the browser is at %s", at)
	}
	if c := ask[string](b, "document.cookie"); strings.Contains(c, "reads") {
		t.Errorf("a script reads the token: %s", c)
	}
	b.open(srv.URL+"/", 1280, 900, "light")
	shows("1 regression", "Sign in")
	b.clean(host)
	if err := chromedp.Do(b.ctx, chromedp.Click(`form[action="/signout"] button`)); err != nil {
		t.Fatal(err)
	}
	shows("Sign in", "1 regression")
	b.open(srv.URL+"/", 1280, 900, "light")
	shows("Sign in", "1 regression")
}
