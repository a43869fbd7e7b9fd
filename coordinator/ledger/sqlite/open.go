// Package sqlite is the ledger in one SQLite file, by the pure Go driver.
//
// WAL with synchronous=FULL: what a method has returned is on disk. All writes go
// through one goroutine, which puts the operations that wait into one transaction, a
// savepoint each, and so pays one fsync for all of them (group commit). Reads use
// their own connections and see committed states only. Who may open the data folder
// is not this package's: a lock above it lets one process in.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/paceline/paceline/coordinator/ledger"
	_ "modernc.org/sqlite" // the driver named "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many connections read at once.
const readers = 4

// Ledger implements ledger.Ledger. Make it with Open.
type Ledger struct {
	now    func() time.Time
	reads  *sql.DB
	writes *sql.DB // nil where readOnly
	ops    chan *op
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed when the writer has ended
	once   sync.Once

	readOnly bool // made by OpenRead

	mu   sync.Mutex // guards what follows
	last int64      // newest event id
	wake chan struct{}
}

// Open opens or makes the database file, brings its schema up to date and starts the
// writer. now stamps everything that the ledger writes. The folder must exist.
func Open(ctx context.Context, path string, now func() time.Time) (*Ledger, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	writes, err := sql.Open("sqlite", dsn(abs, "_txlock=immediate", "_pragma=busy_timeout(10000)", "_pragma=foreign_keys(1)",
		"_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)"))
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	writes.SetMaxOpenConns(1)
	if err := migrate(ctx, writes); err != nil {
		writes.Close()
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	reads, err := sql.Open("sqlite", dsn(abs, "_pragma=busy_timeout(10000)", "_pragma=query_only(1)"))
	if err != nil {
		writes.Close()
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	reads.SetMaxOpenConns(readers)
	l := &Ledger{
		now: now, reads: reads, writes: writes,
		ops: make(chan *op, maxGroup), stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}),
	}
	if err := reads.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM event`).Scan(&l.last); err != nil {
		reads.Close()
		writes.Close()
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	// Whoever held a task was an earlier life: a file has one owner at a time.
	if _, err := writes.ExecContext(ctx, `UPDATE task SET lease_ns = 0 WHERE lease_ns <> 0`); err != nil {
		reads.Close()
		writes.Close()
		return nil, fmt.Errorf("open ledger %s: take up tasks: %w", path, classify(err))
	}
	go l.writer()
	return l, nil
}

// OpenRead opens a database file that may belong to another process now, for reading
// only: it makes and changes nothing, and every method that writes gives ErrReadOnly. A
// schema of another version is refused.
func OpenRead(ctx context.Context, path string) (*Ledger, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	reads, err := sql.Open("sqlite", dsn(abs, "mode=rw", "_pragma=busy_timeout(10000)", "_pragma=query_only(1)"))
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	reads.SetMaxOpenConns(readers)
	l := &Ledger{reads: reads, stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}), readOnly: true}
	close(l.done) // there is no writer
	if err := l.sameSchema(ctx); err != nil {
		reads.Close()
		return nil, fmt.Errorf("open ledger %s: %w", path, classify(err))
	}
	return l, nil
}

// sameSchema says whether the file's schema is the one that this program knows.
func (l *Ledger) sameSchema(ctx context.Context) error {
	var have int
	if err := l.reads.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have); err != nil {
		return err
	}
	if err := l.reads.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM event`).Scan(&l.last); err != nil {
		return err
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	// A migration's file is named by its version, then an underscore.
	name, _, _ := strings.Cut(path.Base(slices.Max(files)), "_")
	want, err := strconv.Atoi(name)
	if err != nil {
		return fmt.Errorf("read the version of an embedded migration: %w", err)
	}
	if have != want {
		return fmt.Errorf("the schema has version %d, this program reads %d: open it once with this program's `paceline up`, or use the newer program", have, want)
	}
	return nil
}

func dsn(path string, params ...string) string {
	u := url.URL{Scheme: "file", Path: path}
	s := u.String()
	for i, p := range params {
		sep := "&"
		if i == 0 {
			sep = "?"
		}
		s += sep + p
	}
	return s
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if have > want {
		return fmt.Errorf("the schema's version %d is newer than %d, which this program knows: use the newer program, or another data folder", have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

// Close implements ledger.Ledger.
func (l *Ledger) Close() error {
	l.once.Do(func() { close(l.stop) })
	<-l.done
	errR := l.reads.Close()
	if !l.readOnly {
		if err := l.writes.Close(); err != nil {
			return fmt.Errorf("close ledger: %w", classify(err))
		}
	}
	if errR != nil {
		return fmt.Errorf("close ledger: %w", classify(errR))
	}
	return nil
}

// ReadDB gives the connections for reading, for queries over the ledger's tables
// such as trends. They refuse writes; Close ends them.
func (l *Ledger) ReadDB() *sql.DB { return l.reads }

// Runs implements ledger.Ledger.
func (l *Ledger) Runs() ledger.Runs { return runs{l} }

// Attempts implements ledger.Ledger.
func (l *Ledger) Attempts() ledger.Attempts { return attempts{l} }

// Agents implements ledger.Ledger.
func (l *Ledger) Agents() ledger.Agents { return agents{l} }

// Batches implements ledger.Ledger.
func (l *Ledger) Batches() ledger.Batches { return batches{l} }

// Rounds implements ledger.Ledger.
func (l *Ledger) Rounds() ledger.Rounds { return rounds{l} }

// Baselines implements ledger.Ledger.
func (l *Ledger) Baselines() ledger.Baselines { return baselines{l} }

// Tasks implements ledger.Ledger.
func (l *Ledger) Tasks() ledger.Tasks { return tasks{l} }

// Events implements ledger.Ledger.
func (l *Ledger) Events() ledger.Events { return events{l} }

// Audit implements ledger.Ledger.
func (l *Ledger) Audit() ledger.Audit { return audit{l} }
