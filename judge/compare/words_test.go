package compare

import (
	"strings"
	"testing"
)

func TestShortBuild(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for in, want := range map[string]string{
		"sha256:" + hex:           "sha256:0123456789ab",
		"image:sha256:" + hex:     "image:sha256:0123456789ab",
		"git:" + hex[:40]:         "git:0123456789ab",
		"url:http://127.0.0.1:80": "url:http://127.0.0.1:80",
		"launch:0123":             "launch:0123",
	} {
		if got := shortBuild(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
