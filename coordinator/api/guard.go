package api

import (
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
)

// Guard protects a server that has no tokens: it serves this machine only, under the
// loopback's names only (a page elsewhere that rebinds its name to 127.0.0.1 is
// refused), takes nothing that changes something from pages of another origin, and
// forbids to be framed or guessed at. hosts are further names under which the server
// may be addressed, without port. Wrap every handler of the listener with it; twice
// does no harm.
func Guard(next http.Handler, hosts ...string) http.Handler {
	next = Fence(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w, r)
		switch {
		case !loopbackAddr(r.RemoteAddr):
			writeProblem(w, newProblem(http.StatusForbidden, "this server has no tokens and answers its own machine only",
				"use it there, or forward a port: ssh -L 7878:127.0.0.1:7878 HOST"))
		case !loopbackName(r.Host) && !slices.Contains(hosts, hostname(r.Host)):
			writeProblem(w, newProblem(http.StatusForbidden, fmt.Sprintf("the server doesn't go by the name %.100q", r.Host),
				"address it as 127.0.0.1 or localhost"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Fence protects a server that has tokens: it takes nothing that changes something
// from pages of another origin, and forbids to be framed or guessed at. Who may ask
// is not its business.
func Fence(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w, r)
		switch {
		case cross.Check(r) != nil:
			writeProblem(w, newProblem(http.StatusForbidden, "a page of another origin asked for a change", "ask from the dashboard's own pages, or with the command line"))
		case !safe(r.Method) && strings.HasPrefix(r.URL.Path, BasePath+"/") && !isJSON(r):
			writeProblem(w, newProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type is %.100q", r.Header.Get("Content-Type")),
				"send Content-Type: application/json"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// secure sets the headers that every answer has.
func secure(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	if strings.HasPrefix(r.URL.Path, BasePath+"/") {
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
	}
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isJSON says whether the body is declared as JSON, which no form of another page can
// do.
func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// hostname is a Host header without port and brackets, in small letters.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func loopbackName(host string) bool {
	name := hostname(host)
	if name == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap().IsLoopback()
}

func loopbackAddr(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// recovered answers for a handler that panicked, and logs where. A stream that was
// ended on purpose stays broken, so that its reader knows.
func recovered(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			writeProblem(w, newProblem(http.StatusInternalServerError, "the coordinator failed", "the coordinator's log says why"))
		}()
		next.ServeHTTP(w, r)
	})
}
