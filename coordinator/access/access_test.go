package access_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
)

func TestHolds(t *testing.T) {
	for i, have := range access.Scopes() {
		for j, need := range access.Scopes() {
			if got, want := have.Holds(need), i >= j; got != want {
				t.Errorf("%s holds %s: %v", have, need, got)
			}
		}
		if have.Holds("everything") || access.Scope("").Holds(have) || access.Scope("root").Holds(have) {
			t.Errorf("an unknown scope holds or is held by %s", have)
		}
	}
	if _, err := access.ParseScope("amdin"); err == nil || !strings.Contains(err.Error(), "read, submit or admin") {
		t.Errorf("got %v", err)
	}
}

func TestNew(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range []ledger.TokenKind{ledger.TokenAPI, ledger.TokenEnrol} {
		for range 50 {
			secret, hash, err := access.New(rand.Reader, kind)
			if err != nil {
				t.Fatal(err)
			}
			if hash != access.Hash(secret) || seen[secret] || len(secret) != 4+32 {
				t.Errorf("%q: hash or length off, or seen before", secret)
			}
			seen[secret] = true
		}
	}
	if _, _, err := access.New(bytes.NewReader(nil), ledger.TokenAPI); err == nil {
		t.Error("a token without randomness")
	}
}

func TestCheck(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	good := ledger.Token{ID: "k", Kind: ledger.TokenAPI, Scopes: []string{"read", "submit"}, Expires: now.Add(time.Second)}
	for name, c := range map[string]struct {
		change func(*ledger.Token)
		need   access.Scope
		want   error
		says   string
	}{
		"good":             {func(*ledger.Token) {}, access.Submit, nil, ""},
		"less than it has": {func(*ledger.Token) {}, access.Read, nil, ""},
		"more than it has": {func(*ledger.Token) {}, access.Admin, access.ErrScope, `"submit"`},
		"at its end":       {func(k *ledger.Token) { k.Expires = now }, access.Read, access.ErrEnded, "expired at 2026-01-02T03:04:05Z"},
		"revoked":          {func(k *ledger.Token) { k.Revoked = now }, access.Read, access.ErrEnded, "revoked"},
		"for enrolment":    {func(k *ledger.Token) { k.Kind = ledger.TokenEnrol }, access.Read, access.ErrUnknown, "makes an agent"},
		"unknown scopes":   {func(k *ledger.Token) { k.Scopes = []string{"root"} }, access.Read, access.ErrScope, `""`},
	} {
		k := good
		c.change(&k)
		got, err := access.Check(k, now, c.need)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %q", name, err, c.want, c.says)
		}
		if err == nil && (got.Name != "token k" || got.Scope != access.Submit) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEnter(t *testing.T) {
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := access.Doors{Tokens: l.Tokens(), Now: time.Now, Local: "of this folder"}
	secret, hash, err := access.New(rand.Reader, ledger.TokenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Tokens().Add(t.Context(), ledger.Token{ID: "k", Kind: ledger.TokenAPI, Name: "ci", Scopes: []string{"submit"}, Expires: time.Now().Add(time.Hour)}, hash); err != nil {
		t.Fatal(err)
	}
	if c, err := d.Enter(t.Context(), secret, access.Submit); err != nil || c.Name != "ci" {
		t.Errorf("%+v, %v", c, err)
	}
	if k, err := l.Tokens().Find(t.Context(), hash); err != nil || k.LastUsed.IsZero() {
		t.Errorf("its use isn't noted: %+v, %v", k, err)
	}
	if c, err := d.Enter(t.Context(), "of this folder", access.Admin); err != nil || c.Scope != access.Admin {
		t.Errorf("%+v, %v", c, err)
	}
	for _, s := range []string{"", "plt_", "plt_" + strings.Repeat("a", 32), strings.ToUpper(secret), secret + "a", secret[:35], strings.Repeat("plt_", 1000), "of this folde"} {
		if _, err := d.Enter(t.Context(), s, access.Read); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("%.40q: %v, want ErrUnknown", s, err)
		}
	}
	d.Local = ""
	if _, err := d.Enter(t.Context(), "", access.Read); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("no secret, no local one: %v", err)
	}
}
