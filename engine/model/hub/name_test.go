package hub

import (
	"errors"
	"testing"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"Qwen/Qwen2.5-0.5B-Instruct":         {"Qwen", "Qwen2.5-0.5B-Instruct", "main"},
		"Qwen/Qwen2.5-0.5B-Instruct@v1.0":    {"Qwen", "Qwen2.5-0.5B-Instruct", "v1.0"},
		"Qwen/Qwen2.5-0.5B@refs/pr/1":        {"Qwen", "Qwen2.5-0.5B", "refs/pr/1"},
		"gpt2":                               {"", "gpt2", "main"},
		"a_b/c@0123456789abcdef0123456789ab": {"a_b", "c", "0123456789abcdef0123456789ab"},
	} {
		n, err := ParseName(in)
		if err != nil || n != want {
			t.Errorf("%q: %+v, %v; want %+v", in, n, err, want)
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q is written %q and read as %+v, %v", in, n, again, err)
		}
		if back, ok := nameOf(n.folder()); !ok || back.ID() != n.ID() {
			t.Errorf("%q lies in %q, which is read as %q", in, n.folder(), back.ID())
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, in := range []string{
		"", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.b", "a/b..c", "a--b/c", "a/b.git", "a/b-", "-a/b", "a b/c", "a/b\x00",
		"https://huggingface.co/a/b", "a/b@", "a/b@..", "a/b@../../x", "a/b@x/../y", "a/b@/x", "a/b@x/", "a/b@x//y", "a/b@.x",
		"a/b@x/.y", "a/b@x y", "a/b@-x", `a\b/c`, "a/b@x?y", "a/b@x%2e%2e", "ä/b",
	} {
		if n, err := ParseName(in); !errors.Is(err, ErrRequest) {
			t.Errorf("%q is read as %+v, %v", in, n, err)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"Qwen/Qwen2.5-0.5B-Instruct@main", "gpt2", "a/b@refs/pr/1", "a/../b", "models--a--b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if !localName(n.folder()) || !localName(n.Revision) {
			t.Fatalf("%q gives the folder %q and the revision %q", s, n.folder(), n.Revision)
		}
		if back, ok := nameOf(n.folder()); !ok || back.ID() != n.ID() {
			t.Fatalf("%q shares its folder with %q", s, back.ID())
		}
	})
}
