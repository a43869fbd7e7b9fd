package model

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linked moves the files of a model folder into the blobs of a hub's cache and gives
// the snapshot that links to them.
func linked(t *testing.T, dir string) (snapshot string) {
	t.Helper()
	repo := filepath.Join(t.TempDir(), "models--org--name")
	snapshot = filepath.Join(repo, "snapshots", strings.Repeat("a", 40))
	for _, d := range []string{snapshot, filepath.Join(repo, "blobs")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(repo, "blobs", "of-"+e.Name())); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "blobs", "of-"+e.Name()), filepath.Join(snapshot, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return snapshot
}

func TestOpenHubSnapshot(t *testing.T) {
	dir := makeModel(t, smallest(true))
	before := mustOpen(t, dir)
	want, err := before.Digest()
	if err != nil {
		t.Fatal(err)
	}
	snapshot := linked(t, dir)
	alias := filepath.Join(t.TempDir(), "model")
	if err := os.Symlink(snapshot, alias); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{snapshot, alias} {
		if got, err := mustOpen(t, d).Digest(); err != nil || got != want {
			t.Errorf("%s: digest %s, %v; want %s", d, got, err, want)
		}
	}
}

func TestHubSnapshotKeepsToItsRepository(t *testing.T) {
	snapshot := linked(t, makeModel(t, smallest(true)))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(snapshot, configFile)
	if err := errors.Join(os.Remove(config), os.Symlink(secret, config)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(snapshot); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("a link out of the repository: %v", err)
	}
}
