package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
)

// TestMain makes this test's binary the victim of TestKilled when it is told so.
func TestMain(m *testing.M) {
	if path := os.Getenv("PACELINE_TEST_VICTIM"); path != "" {
		if err := victim(path, os.Getenv("PACELINE_TEST_ROUND")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim submits runs from several goroutines and prints the id of each that was
// acknowledged, until it is killed.
func victim(path, round string) error {
	l, err := Open(context.Background(), path, time.Now)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r, a := ledgertest.NewRun(fmt.Sprintf("%s-%d-%d", round, g, i), 1)
				if err := l.Runs().Create(context.Background(), r, []ledger.Attempt{a}); err != nil {
					return
				}
				mu.Lock()
				fmt.Println(r.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// TestKilled kills a writing process at random moments: what was acknowledged is
// there, whole, and the file opens again at once.
func TestKilled(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	path := filepath.Join(t.TempDir(), "l.db")
	rng := rand.New(rand.NewPCG(1, 2))
	acked := map[string]bool{}
	for round := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PACELINE_TEST_VICTIM="+path, fmt.Sprint("PACELINE_TEST_ROUND=", round))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := 1 + rng.IntN(40) // after so many acknowledgements
		n := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			acked[lines.Text()] = true
			if n++; n == kill {
				cmd.Process.Kill()
			}
		}
		cmd.Wait() // it was killed
		if n == 0 {
			t.Fatalf("round %d wrote nothing: %s", round, &stderr)
		}
	}
	l := open(t, path, time.Now)
	ctx := t.Context()
	stored := map[string]bool{}
	for before := int64(0); ; {
		rs, err := l.Runs().List(ctx, ledger.RunFilter{Before: before, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			if stored[r.ID] {
				t.Errorf("run %s is stored twice", r.ID)
			}
			stored[r.ID] = true
			as, err := l.Attempts().OfRun(ctx, r.ID)
			if err != nil || len(as) != 1 {
				t.Errorf("run %s has %d attempts, %v: half a transaction", r.ID, len(as), err)
			}
			before = r.Seq
		}
	}
	for id := range acked {
		if !stored[id] {
			t.Errorf("run %s was acknowledged and is lost", id)
		}
	}
	var check string
	if err := l.reads.QueryRow(`PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity check says %q, %v", check, err)
	}
	t.Logf("%d kills, %d acknowledged, %d stored", kills, len(acked), len(stored))
}
