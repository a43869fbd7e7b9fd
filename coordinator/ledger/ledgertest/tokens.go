package ledgertest

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// RunTokens holds an implementation of ledger.Tokens to the suite. open makes an empty
// ledger, closed by the test's cleanup, and gives its tokens with it.
func RunTokens(t *testing.T, open func(t *testing.T, now func() time.Time) (ledger.Ledger, ledger.Tokens)) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, *tokenFixture)
	}{
		{"found by hash only", testTokenFound},
		{"must expire", testTokenExpires},
		{"use is noted once a minute", testTokenUsed},
		{"revoked for good", testTokenRevoked},
		{"enrols once", testEnrolOnce},
		{"enrols at once", testEnrolRace},
		{"refuses to enrol", testEnrolRefused},
		{"a new key for a named agent", testRekey},
		{"calling machines", testCaller},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			l, k := open(t, clock.Now)
			c.f(t, &tokenFixture{Tokens: k, ledger: l, clock: clock, ctx: t.Context(), t: t})
		})
	}
}

type tokenFixture struct {
	ledger.Tokens
	ledger ledger.Ledger
	clock  *Clock
	ctx    context.Context
	t      *testing.T
}

func hashOf(secret string) ledger.TokenHash { return sha256.Sum256([]byte(secret)) }

// add writes a token whose text is its id, good for an hour.
func (f *tokenFixture) add(id string, kind ledger.TokenKind, agent string) {
	f.t.Helper()
	_, err := f.Add(f.ctx, ledger.Token{ID: id, Kind: kind, Scopes: []string{"read"}, Agent: agent, By: "tester", Expires: f.clock.Now().Add(time.Hour)}, hashOf(id))
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *tokenFixture) wants(err, want error, what string) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func testTokenFound(t *testing.T, f *tokenFixture) {
	f.add("k1", ledger.TokenAPI, "")
	f.add("k2", ledger.TokenEnrol, "gpu-1")
	got, err := f.Find(f.ctx, hashOf("k2"))
	if err != nil || got.ID != "k2" || got.Kind != ledger.TokenEnrol || got.Agent != "gpu-1" || got.By != "tester" || !got.Created.Equal(f.clock.Now()) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.Find(f.ctx, hashOf("k3"))
	f.wants(err, ledger.ErrNotFound, "unknown hash")
	list, err := f.List(f.ctx)
	if err != nil || len(list) != 2 || list[0].ID != "k2" || list[1].Scopes[0] != "read" {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = f.Add(f.ctx, ledger.Token{ID: "k1", Kind: ledger.TokenAPI, Expires: f.clock.Now().Add(time.Hour)}, hashOf("other"))
	f.wants(err, ledger.ErrExists, "an id twice")
	_, err = f.Add(f.ctx, ledger.Token{ID: "k4", Kind: ledger.TokenAPI, Expires: f.clock.Now().Add(time.Hour)}, hashOf("k1"))
	f.wants(err, ledger.ErrExists, "a hash twice")
	entries, err := f.ledger.Audit().List(f.ctx, 0)
	if err != nil || len(entries) != 2 || entries[0].Action != "token.create" || entries[0].Who != "tester" {
		t.Errorf("audit %+v, %v", entries, err)
	}
}

func testTokenExpires(_ *testing.T, f *tokenFixture) {
	for _, at := range []time.Time{{}, f.clock.Now(), f.clock.Now().Add(-time.Second)} {
		_, err := f.Add(f.ctx, ledger.Token{ID: "k", Kind: ledger.TokenAPI, Expires: at}, hashOf("k"))
		f.wants(err, ledger.ErrInvalid, "expires "+at.String())
	}
	_, err := f.Add(f.ctx, ledger.Token{ID: "k", Kind: "master", Expires: f.clock.Now().Add(time.Hour)}, hashOf("k"))
	f.wants(err, ledger.ErrInvalid, "unknown kind")
}

func testTokenUsed(t *testing.T, f *tokenFixture) {
	f.add("k", ledger.TokenAPI, "")
	first := f.clock.Now()
	for _, after := range []struct {
		d    time.Duration
		want time.Time
	}{{0, first}, {30 * time.Second, first}, {31 * time.Second, first.Add(61 * time.Second)}} {
		f.clock.Advance(after.d)
		if err := f.Used(f.ctx, "k"); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Find(f.ctx, hashOf("k")); err != nil || !got.LastUsed.Equal(after.want) {
			t.Errorf("last used %v, %v; want %v", got.LastUsed, err, after.want)
		}
	}
}

func testTokenRevoked(t *testing.T, f *tokenFixture) {
	f.add("k", ledger.TokenEnrol, "")
	at := f.clock.Now()
	for range 2 {
		got, err := f.Revoke(f.ctx, "k", "admin")
		if err != nil || !got.Revoked.Equal(at) {
			t.Errorf("revoked %v, %v", got.Revoked, err)
		}
		f.clock.Advance(time.Second)
	}
	_, err := f.Revoke(f.ctx, "k9", "admin")
	f.wants(err, ledger.ErrNotFound, "unknown id")
	_, err = f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: "a", Name: "gpu-1", Key: "U1"})
	f.wants(err, ledger.ErrState, "enrol with a revoked token")
}

func testEnrolOnce(t *testing.T, f *tokenFixture) {
	f.add("k", ledger.TokenEnrol, "")
	a, err := f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: "a", Name: "gpu-1", Key: "U1", Labels: map[string]string{"pool": "ci"}})
	if err != nil || a.State != ledger.AgentIdle || a.Key != "U1" || a.Labels["pool"] != "ci" || a.Caller || a.Local {
		t.Fatalf("%+v, %v", a, err)
	}
	if got, err := f.ByKey(f.ctx, "U1"); err != nil || got.ID != "a" {
		t.Errorf("by key: %+v, %v", got, err)
	}
	_, err = f.ByKey(f.ctx, "U2")
	f.wants(err, ledger.ErrNotFound, "unknown key")
	_, err = f.ByKey(f.ctx, "")
	f.wants(err, ledger.ErrNotFound, "no key")
	again, err := f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: "b", Name: "gpu-1", Key: "U1"})
	if err != nil || again.ID != "a" {
		t.Errorf("asked again with the same key: %+v, %v", again, err)
	}
	_, err = f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: "b", Name: "gpu-1", Key: "U2"})
	f.wants(err, ledger.ErrState, "another key by one token")
	_, err = f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: "b", Name: "gpu-2", Key: "U2"})
	f.wants(err, ledger.ErrState, "a second agent by one token")
	if got, err := f.Find(f.ctx, hashOf("k")); err != nil || !got.Spent.Equal(f.clock.Now()) {
		t.Errorf("spent %v, %v", got.Spent, err)
	}
}

func testEnrolRace(t *testing.T, f *tokenFixture) {
	f.add("k", ledger.TokenEnrol, "")
	const n = 8
	made := make(chan error, n)
	for i := range n {
		go func() {
			id := string(rune('a' + i))
			_, err := f.Enrol(f.ctx, hashOf("k"), ledger.Agent{ID: id, Name: "gpu-" + id, Key: "U" + id})
			made <- err
		}()
	}
	won := 0
	for range n {
		if err := <-made; err == nil {
			won++
		} else {
			f.wants(err, ledger.ErrState, "the others")
		}
	}
	if won != 1 {
		t.Errorf("one token made %d agents", won)
	}
}

func testEnrolRefused(_ *testing.T, f *tokenFixture) {
	f.add("api", ledger.TokenAPI, "")
	f.add("named", ledger.TokenEnrol, "gpu-7")
	f.add("first", ledger.TokenEnrol, "")
	f.add("second", ledger.TokenEnrol, "")
	f.add("late", ledger.TokenEnrol, "")
	agent := ledger.Agent{ID: "a", Name: "gpu-1", Key: "U1"}
	_, err := f.Enrol(f.ctx, hashOf("nothing"), agent)
	f.wants(err, ledger.ErrNotFound, "unknown token")
	_, err = f.Enrol(f.ctx, hashOf("api"), agent)
	f.wants(err, ledger.ErrState, "an API token")
	_, err = f.Enrol(f.ctx, hashOf("named"), agent)
	f.wants(err, ledger.ErrState, "another name than the token's")
	_, err = f.Enrol(f.ctx, hashOf("first"), ledger.Agent{ID: "a", Name: "gpu-1"})
	f.wants(err, ledger.ErrInvalid, "no key")
	// What was refused has spent nothing.
	_, err = f.Enrol(f.ctx, hashOf("first"), agent)
	f.wants(err, nil, "after a refusal")
	_, err = f.Enrol(f.ctx, hashOf("second"), ledger.Agent{ID: "b", Name: "gpu-1", Key: "U2"})
	f.wants(err, ledger.ErrExists, "a name that is taken")
	_, err = f.Enrol(f.ctx, hashOf("second"), ledger.Agent{ID: "b", Name: "gpu-2", Key: "U1"})
	f.wants(err, ledger.ErrExists, "a key that is taken")
	f.clock.Advance(2 * time.Hour)
	_, err = f.Enrol(f.ctx, hashOf("late"), ledger.Agent{ID: "c", Name: "gpu-3", Key: "U3"})
	f.wants(err, ledger.ErrState, "an expired token")
}

func testRekey(t *testing.T, f *tokenFixture) {
	f.add("k1", ledger.TokenEnrol, "")
	f.add("k2", ledger.TokenEnrol, "gpu-1")
	first, err := f.Enrol(f.ctx, hashOf("k1"), ledger.Agent{ID: "a", Name: "gpu-1", Key: "U1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Enrol(f.ctx, hashOf("k2"), ledger.Agent{ID: "b", Name: "gpu-1", Key: "U2"})
	if err != nil || again.ID != first.ID || again.Key != "U2" {
		t.Errorf("%+v, %v: want agent %s with the new key", again, err, first.ID)
	}
	_, err = f.ByKey(f.ctx, "U1")
	f.wants(err, ledger.ErrNotFound, "the old key")
}

func testCaller(t *testing.T, f *tokenFixture) {
	a, err := f.Caller(f.ctx, ledger.Agent{ID: "c", Name: "laptop (calling, c)", Key: "U1"})
	if err != nil || !a.Caller || a.Local {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = f.Caller(f.ctx, ledger.Agent{ID: "d", Name: "laptop (calling, c)", Key: "U2"})
	f.wants(err, ledger.ErrExists, "a name twice")
	_, err = f.Caller(f.ctx, ledger.Agent{ID: "d", Name: "laptop (calling, d)"})
	f.wants(err, ledger.ErrInvalid, "no key")
}
