// Package datadir is the folder in which one coordinator keeps everything: where
// it lies, who owns it now, and what its parts are called.
//
// A folder has one owner at a time. The lock is the kernel's (flock), so that it
// ends with its process however that dies; owner.json beside it says who the owner
// is and where it listens, for people and for a second command.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Owner is who holds a folder.
type Owner struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`       // "up", "run", "coordinator"
	URL     string `json:"url,omitempty"` // of its API; empty for one without listeners
	// Secret opens that API with every right. Who can read the folder could change the
	// ledger as well, so it gives nothing away.
	Secret string `json:"secret,omitempty"`
	// Certificate is the SHA-256 of the API's TLS certificate, hexadecimal: its name may
	// be another than this machine's.
	Certificate string    `json:"certificate_sha256,omitempty"`
	Since       time.Time `json:"since"`
}

// HeldError says that another process owns the folder.
type HeldError struct {
	Dir   string
	Owner Owner // zero if owner.json could not be read
}

// Error names the owner and what to do.
func (e *HeldError) Error() string {
	msg := fmt.Sprintf("data folder %s is in use by another paceline", e.Dir)
	if e.Owner.PID != 0 {
		msg = fmt.Sprintf("data folder %s is in use by paceline %s (pid %d)", e.Dir, e.Owner.Command, e.Owner.PID)
	}
	if e.Owner.URL != "" {
		msg += " at " + e.Owner.URL
	}
	return msg + ": stop it, or name another folder with --data DIR"
}

// Dir is a folder that this process owns.
type Dir struct {
	Path string
	lock *os.File
}

// Default is where a person's data lies: $PACELINE_DATA, else
// $XDG_DATA_HOME/paceline, else ~/.local/share/paceline.
func Default() (string, error) {
	if d := os.Getenv("PACELINE_DATA"); d != "" {
		return d, nil
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "paceline"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a place for data: %w: name one with --data DIR", err)
	}
	return filepath.Join(home, ".local", "share", "paceline"), nil
}

// Open takes the folder, made if it isn't there, for this process. Another owner
// gives a *HeldError.
func Open(path string, o Owner) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w: name another with --data DIR", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w: name another with --data DIR", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			held := &HeldError{Dir: path}
			held.Owner, _ = ReadOwner(path) // unreadable: the message does without
			return nil, held
		}
		return nil, fmt.Errorf("lock data folder %s: %w", path, err)
	}
	d := &Dir{Path: path, lock: lock}
	if err := d.Announce(o); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return d, nil
}

// Announce writes who owns the folder; called again once the address is known.
func (d *Dir) Announce(o Owner) error {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("write owner of data folder: %w", err)
	}
	tmp := filepath.Join(d.Path, "owner.json.tmp")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write owner of data folder: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(d.Path, "owner.json")); err != nil {
		return fmt.Errorf("write owner of data folder: %w", err)
	}
	return nil
}

// ReadOwner is who said last that it owns the folder; it may be dead.
func ReadOwner(path string) (Owner, error) {
	b, err := os.ReadFile(filepath.Join(path, "owner.json"))
	if err != nil {
		return Owner{}, fmt.Errorf("read owner of data folder: %w", err)
	}
	var o Owner
	if err := json.Unmarshal(b, &o); err != nil {
		return Owner{}, fmt.Errorf("read owner of data folder %s: %w", path, err)
	}
	return o, nil
}

// Ledger is the path of the database.
func (d *Dir) Ledger() string { return filepath.Join(d.Path, "ledger.sqlite") }

// Spool is the folder in which the agent of this process keeps what is not yet
// acknowledged.
func (d *Dir) Spool() string { return filepath.Join(d.Path, "spool") }

// Models is the folder of models that this program unpacked.
func (d *Dir) Models() string { return filepath.Join(d.Path, "models") }

// Close gives the folder back.
func (d *Dir) Close() error {
	_ = os.Remove(filepath.Join(d.Path, "owner.json"))
	return d.lock.Close()
}
