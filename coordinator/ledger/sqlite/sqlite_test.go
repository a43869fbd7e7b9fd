package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
)

func TestConformance(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, now func() time.Time) ledger.Ledger {
		return open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
	})
}

func open(t *testing.T, path string, now func() time.Time) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), path, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space & 100%.db")
	ctx := t.Context()
	l, err := Open(ctx, path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r, a := ledgertest.NewRun("r1", 1)
	if err := l.Runs().Create(ctx, r, []ledger.Attempt{a}); err != nil {
		t.Fatal(err)
	}
	if err := l.Tasks().Add(ctx, ledger.NewTask{Kind: "k", Key: "held"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Tasks().Claim(ctx, []string{"k"}, time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	last, _ := l.Events().Last(ctx)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Runs().Create(ctx, r, nil); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err) // the name was not taken apart as an address
	}
	l = open(t, path, time.Now)
	if got, err := l.Runs().Get(ctx, "r1"); err != nil || got.State != ledger.RunOpen {
		t.Errorf("after reopening: %+v, %v", got, err)
	}
	if k, ok, err := l.Tasks().Claim(ctx, []string{"k"}, time.Hour); !ok || err != nil || k.Tries != 1 {
		t.Errorf("the task that an earlier life held: %+v, %v, %v", k, ok, err)
	}
	if got, _ := l.Events().Last(ctx); got != last || last == 0 {
		t.Errorf("last event is %d, was %d", got, last)
	}
}

func TestDurableSettings(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"), time.Now)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := l.writes.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	if _, err := l.ReadDB().Exec(`DELETE FROM run`); err == nil {
		t.Error("a reader could write")
	}
}

// TestFullDisk bounds the database's size, which SQLite reports as it reports a full
// disk.
func TestFullDisk(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"), time.Now)
	ctx := t.Context()
	if _, err := l.writes.Exec(`PRAGMA max_page_count = 80`); err != nil {
		t.Fatal(err)
	}
	var stored int
	var err error
	for i := range 10_000 {
		r, a := ledgertest.NewRun(fmt.Sprint("r", i), 1)
		if err = l.Runs().Create(ctx, r, []ledger.Attempt{a}); err != nil {
			break
		}
		stored++
	}
	if !errors.Is(err, ledger.ErrFull) {
		t.Fatalf("after %d runs: %v, want ErrFull", stored, err)
	}
	rs, err := l.Runs().List(ctx, ledger.RunFilter{Limit: 1000})
	if err != nil || len(rs) != stored || stored == 0 {
		t.Errorf("%d runs listed, %v; want the %d stored", len(rs), err, stored)
	}
	if _, err := l.writes.Exec(`PRAGMA max_page_count = 100000`); err != nil {
		t.Fatal(err)
	}
	r, a := ledgertest.NewRun("after", 1)
	if err := l.Runs().Create(ctx, r, []ledger.Attempt{a}); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	if err := os.WriteFile(path, []byte("this is a text file and by no means a database, however long it may get"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(t.Context(), path, time.Now); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("opened %v, %v; want ErrCorrupt", l, err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "no", "l.db"), time.Now); !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("without a folder: %v, want ErrReadOnly", err)
	}
}

// TestGroupCommit: operations at once share transactions, and one that fails takes
// nothing of the others with it.
func TestGroupCommit(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"), time.Now)
	ctx := t.Context()
	const n = 200
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			r, a := ledgertest.NewRun(fmt.Sprint("r", i), 1)
			if i%10 == 0 { // fails after it has written its run and an event
				a.Run = "another"
			}
			errs[i] = l.Runs().Create(ctx, r, []ledger.Attempt{a})
		})
	}
	wg.Wait()
	for i, err := range errs {
		_, getErr := l.Runs().Get(ctx, fmt.Sprint("r", i))
		if i%10 == 0 {
			if !errors.Is(err, ledger.ErrInvalid) || !errors.Is(getErr, ledger.ErrNotFound) {
				t.Errorf("run %d: %v, then %v; want it refused and absent", i, err, getErr)
			}
		} else if err != nil || getErr != nil {
			t.Errorf("run %d: %v, then %v", i, err, getErr)
		}
	}
	es, err := l.Events().After(ctx, 0, "", 10_000)
	if err != nil || len(es) != 2*(n-n/10) {
		t.Errorf("%d events, %v; want %d", len(es), err, 2*(n-n/10))
	}
}

func TestCallerGone(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "l.db"), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, a := ledgertest.NewRun("r", 1)
	if err := l.Runs().Create(ctx, r, []ledger.Attempt{a}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func BenchmarkPut(b *testing.B) {
	l, err := Open(b.Context(), filepath.Join(b.TempDir(), "l.db"), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ctx := b.Context()
	if _, err := l.Agents().Enrol(ctx, ledger.Agent{ID: "a", Name: "a"}); err != nil {
		b.Fatal(err)
	}
	r, a := ledgertest.NewRun("r", 1<<30)
	if err := l.Runs().Create(ctx, r, []ledger.Attempt{a}); err != nil {
		b.Fatal(err)
	}
	a, _, _, err = l.Attempts().Claim(ctx, ledger.Claim{ID: "c", Agent: "a", Devices: []string{"cpu"}}, ledgertest.First)
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		x := ledgertest.NewRound(a, i, 10)
		if _, err := l.Batches().Put(ctx, "a", ledgertest.Batch(a.ID, uint64(i), x), []result.Round{x}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTokens(t *testing.T) {
	ledgertest.RunTokens(t, func(t *testing.T, now func() time.Time) (ledger.Ledger, ledger.Tokens) {
		l := open(t, filepath.Join(t.TempDir(), "ledger.db"), now)
		return l, l.Tokens()
	})
}

// TestOpenRead reads a database while another process may own it, and changes nothing.
func TestOpenRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.sqlite")
	if _, err := OpenRead(t.Context(), path); err == nil {
		t.Error("a file that isn't there was opened")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("and made: %v", err)
	}
	owner, err := Open(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	reader, err := OpenRead(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	pin := ledger.Pin{Name: "v1", Branch: "main", Suite: "ci", Reason: "release", By: "test", Runs: []string{}}
	if err := reader.Baselines().Pin(t.Context(), pin); !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("written through a reader: %v", err)
	}
	if err := owner.Audit().Add(t.Context(), ledger.AuditEntry{Who: "test", Action: "look", Object: "x"}); err != nil {
		t.Fatal(err)
	}
	got, err := reader.Audit().List(t.Context(), 10)
	if err != nil || len(got) != 1 {
		t.Errorf("the reader sees %d entries, %v", len(got), err)
	}
	if _, err := owner.writes.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRead(t.Context(), path); err == nil || !strings.Contains(err.Error(), "version 999") {
		t.Errorf("a newer schema: %v", err)
	}
}
