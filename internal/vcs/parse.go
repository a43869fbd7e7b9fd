package vcs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// line is an answer of one line.
func line(out []byte) string { return strings.TrimRight(string(out), "\r\n") }

// isHash says whether s is a full object name, SHA-1 or SHA-256.
func isHash(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// parseCommit reads "HASH SECONDS PARENT…".
func parseCommit(s string) (Commit, error) {
	f := strings.Fields(s)
	if len(f) < 2 || !isHash(f[0]) {
		return Commit{}, fmt.Errorf("read a commit: git says %.60q", s)
	}
	sec, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return Commit{}, fmt.Errorf("read a commit: its time is %.30q", f[1])
	}
	c := Commit{Hash: f[0], Time: time.Unix(sec, 0).UTC()}
	for _, p := range f[2:] {
		if !isHash(p) {
			return Commit{}, fmt.Errorf("read a commit: a parent is %.60q", p)
		}
	}
	if len(f) > 2 {
		c.Parent = f[2]
	}
	return c, nil
}

// parseHashes reads one hash a line.
func parseHashes(out []byte) ([]string, error) {
	hashes := strings.Fields(string(out))
	for _, h := range hashes {
		if !isHash(h) {
			return nil, fmt.Errorf("read a list of commits: git says %.60q", h)
		}
	}
	return hashes, nil
}

// parseSize reads a size in bytes.
func parseSize(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
