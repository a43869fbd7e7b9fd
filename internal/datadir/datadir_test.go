package datadir

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestOneOwner(t *testing.T) {
	path := t.TempDir()
	me := Owner{PID: os.Getpid(), Command: "up", URL: "http://127.0.0.1:7070"}
	d, err := Open(path, me)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Owner{Command: "run"})
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("second owner: %v", err)
	}
	if held.Owner != me {
		t.Errorf("owner %+v, want %+v", held.Owner, me)
	}
	for _, want := range []string{"paceline up", me.URL, "--data"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("message %q lacks %q", err, want)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = Open(path, me)
	if err != nil {
		t.Fatalf("after the first owner's end: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnwritableFolder(t *testing.T) {
	if _, err := Open("/dev/null/data", Owner{}); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("error %v, want one that says what to do", err)
	}
}
