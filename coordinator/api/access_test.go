package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/bus"
)

// site is an API that takes tokens, over a real ledger.
type site struct {
	url string
	l   *sqlite.Ledger
	now time.Time
}

const localSecret = "of the data folder"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{now: time.Now().UTC()}
	clock := func() time.Time { return s.now }
	var err error
	if s.l, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), clock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.l.Close() })
	d := From(broken{}, s.l)
	d.Now = clock
	d.Doors = &access.Doors{Tokens: s.l.Tokens(), Now: clock, Local: localSecret}
	d.Fleet = &Fleet{Tokens: s.l.Tokens(), BusURL: func(host string) string { return "nats://" + host + ":7422" }, ValidKey: bus.ValidPublic}
	h, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *site) as(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(s.url, client.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *site) token(t *testing.T, scope string) string {
	t.Helper()
	k, err := s.as(t, localSecret).CreateToken(t.Context(), client.TokenRequest{Kind: "api", Name: "for " + scope, Scope: scope, ExpiresSec: 3600})
	if err != nil {
		t.Fatal(err)
	}
	return k.Secret
}

// TestEveryRouteAndScope asks every route with every scope: each opens to its own and
// to what stands above it, and to nothing else.
func TestEveryRouteAndScope(t *testing.T) {
	s := newSite(t)
	secrets := map[access.Scope]string{"": ""}
	for _, scope := range access.Scopes() {
		secrets[scope] = s.token(t, string(scope))
	}
	_, doc, err := build(brokenDeps(nil))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete, "PATCH": item.Patch} {
			if op == nil {
				continue
			}
			n++
			need, ok := op.Metadata[scopeKey].(access.Scope)
			if !ok {
				t.Errorf("%s %s says no scope", method, path)
				continue
			}
			for have, secret := range secrets {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				req, err := http.NewRequestWithContext(ctx, method, s.url+strings.NewReplacer("{id}", "x", "{name}", "ci", "{digest}", "x").Replace(path), bytes.NewReader([]byte("{}")))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				if secret != "" {
					req.Header.Set("Authorization", "Bearer "+secret)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				cancel()
				closed := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
				if op.OperationID == "enrol-agent" {
					closed = false // its own token is in the body: {} has none
				}
				if want := need != public && !have.Holds(need); closed != want {
					t.Errorf("%s %s needs %q: with %q it answers %d", method, path, need, have, resp.StatusCode)
				}
				if need != public && have == "" && resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: 401 doesn't say how to come in", method, path)
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d routes were asked", n)
	}
}

func TestTokenLife(t *testing.T) {
	s := newSite(t)
	admin := s.as(t, s.token(t, "admin"))
	k, err := admin.CreateToken(t.Context(), client.TokenRequest{Kind: "api", Name: "ci of project x", Scope: "submit", ExpiresSec: 600})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(k.Secret, "plt_") || k.By != "for admin" || k.Scopes[0] != "submit" || !k.Expires.Equal(s.now.Add(10*time.Minute)) {
		t.Errorf("%+v", k)
	}
	user := s.as(t, k.Secret)
	if _, err := user.Suites(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := user.Tokens(t.Context()); status(err) != http.StatusForbidden || !strings.Contains(err.Error(), `"submit"`) {
		t.Errorf("a submit token lists tokens: %v", err)
	}
	list, err := admin.Tokens(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != k.ID || list[0].LastUsed.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if got := list[0].Ended(s.now); got != "" {
		t.Errorf("ended: %s", got)
	}
	s.now = s.now.Add(11 * time.Minute)
	if _, err := user.Suites(t.Context()); status(err) != http.StatusUnauthorized || !strings.Contains(err.Error(), "expired at") || !strings.Contains(err.Error(), "token create") {
		t.Errorf("an expired token: %v", err)
	}
	other := s.token(t, "read")
	list, err = admin.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := admin.RevokeToken(t.Context(), list[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.as(t, other).Suites(t.Context()); status(err) != http.StatusUnauthorized || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked token: %v", err)
	}
	if _, err := s.as(t, "plt_wrong").Suites(t.Context()); status(err) != http.StatusUnauthorized || !strings.Contains(err.Error(), "PACELINE_TOKEN") {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := admin.RevokeToken(t.Context(), "nothing"); !client.IsNotFound(err) {
		t.Errorf("revoke nothing: %v", err)
	}
	for _, bad := range []client.TokenRequest{
		{Kind: "enrol", Scope: "read", ExpiresSec: 600},
		{Kind: "api", ExpiresSec: 600},
		{Kind: "api", Scope: "read", Agent: "x", ExpiresSec: 600},
		{Kind: "api", Scope: "read"},
		{Kind: "api", Scope: "read", ExpiresSec: 1e9},
	} {
		if _, err := admin.CreateToken(t.Context(), bad); status(err)/100 != 4 {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func status(err error) int {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestEnrolment(t *testing.T) {
	s := newSite(t)
	key, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.as(t, localSecret).CreateToken(t.Context(), client.TokenRequest{Kind: "enrol", ExpiresSec: 3600})
	if err != nil {
		t.Fatal(err)
	}
	nobody := s.as(t, "")
	ask := client.Enrolment{Token: k.Secret, Name: "gpu-07", PublicKey: key.Public, Labels: map[string]string{"gpu": "h200"}}
	bad := ask
	bad.PublicKey = "U" + strings.Repeat("A", 55)
	if _, err := nobody.Enrol(t.Context(), bad); status(err) != http.StatusBadRequest {
		t.Errorf("a key that is none: %v", err)
	}
	bad = ask
	bad.Name = "gpu 07; rm -rf /"
	if _, err := nobody.Enrol(t.Context(), bad); status(err) != http.StatusUnprocessableEntity {
		t.Errorf("a name that is none: %v", err)
	}
	got, err := nobody.Enrol(t.Context(), ask)
	if err != nil || got.Agent.Name != "gpu-07" || got.Agent.Labels["gpu"] != "h200" || got.BusURL != "nats://127.0.0.1:7422" {
		t.Fatalf("%+v, %v", got, err)
	}
	if a, err := s.l.Tokens().ByKey(t.Context(), key.Public); err != nil || a.ID != got.Agent.ID {
		t.Errorf("%+v, %v", a, err)
	}
	if again, err := nobody.Enrol(t.Context(), ask); err != nil || again.Agent.ID != got.Agent.ID {
		t.Errorf("asked again after a lost answer: %+v, %v", again, err)
	}
	third, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{"used before": k.Secret, "no enrolment token": "ple_nothing"} {
		ask.Token, ask.PublicKey = token, third.Public
		if _, err := nobody.Enrol(t.Context(), ask); status(err) != http.StatusUnauthorized || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	another, err := s.as(t, localSecret).CreateToken(t.Context(), client.TokenRequest{Kind: "enrol", ExpiresSec: 3600})
	if err != nil {
		t.Fatal(err)
	}
	second, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	ask.Token, ask.PublicKey = another.Secret, second.Public
	if _, err := nobody.Enrol(t.Context(), ask); !client.IsConflict(err) || !strings.Contains(err.Error(), "--agent gpu-07") {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestCallingMachine(t *testing.T) {
	s := newSite(t)
	key, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c := s.as(t, s.token(t, "submit"))
	got, err := c.EnrolCalling(t.Context(), "build box/1", key.Public)
	if err != nil || !got.Agent.Caller || !strings.HasPrefix(got.Agent.Name, "buildbox1 (calling, ") {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 2 {
		if err := c.Leave(t.Context(), got.Agent.ID); err != nil {
			t.Error(err)
		}
	}
	if a, err := s.l.Agents().Get(t.Context(), got.Agent.ID); err != nil || a.State != ledger.AgentRetired {
		t.Errorf("%+v, %v", a, err)
	}
	fleet, err := s.l.Agents().Enrol(t.Context(), ledger.Agent{ID: "f", Name: "gpu-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Leave(t.Context(), fleet.ID); !client.IsConflict(err) {
		t.Errorf("a machine of the fleet was let go: %v", err)
	}
	if _, err := s.as(t, s.token(t, "read")).EnrolCalling(t.Context(), "x", key.Public); status(err) != http.StatusForbidden {
		t.Errorf("with scope read: %v", err)
	}
}

// TestNoTokensHere: a server for its own machine has neither tokens nor a fleet.
func TestNoTokensHere(t *testing.T) {
	w := newWorld(t)
	if _, err := w.CreateToken(t.Context(), client.TokenRequest{Kind: "api", Scope: "read", ExpiresSec: 60}); status(err) != http.StatusNotImplemented || !strings.Contains(err.Error(), "paceline coordinator") {
		t.Error(err)
	}
	if _, err := w.Enrol(t.Context(), client.Enrolment{Token: "ple_x", Name: "x", PublicKey: "U"}); status(err) != http.StatusNotImplemented {
		t.Error(err)
	}
}
