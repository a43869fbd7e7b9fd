package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/paceline/paceline/coordinator/ledger"
)

// classify turns what the driver says into the ledger's errors with what to do.
func classify(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.ErrNotFound
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: free space on the data folder's disk and try again; nothing was lost (%v)", ledger.ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: make the data folder and its files writable for this user (%v)", ledger.ErrReadOnly, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: the database can't be opened or made: does the folder exist, and is it writable? (%v)", ledger.ErrReadOnly, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: move the file aside and restore a copy (%v)", ledger.ErrCorrupt, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the data folder's disk can't be read or written: see the system's log (%w)", err)
	}
	return err
}

// unique says whether err is a violated uniqueness.
func unique(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}
