package hub

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

func TestParseListing(t *testing.T) {
	l, err := parseListing([]byte(`{"sha":"` + sha + `","siblings":[{"rfilename":"config.json"},{"rfilename":"onnx/model.onnx"},{"rfilename":"model.safetensors"},{"rfilename":"model.safetensors.index.json"}],"more":1}`))
	if err != nil || l.commit != sha || len(l.files) != 4 {
		t.Fatalf("%+v, %v", l, err)
	}
	if got := strings.Join(l.small(), " "); got != "config.json" {
		t.Errorf("an index beside the one file isn't needed: %s", got)
	}
	for in, says := range map[string]string{
		`<html>`:                          "invalid character",
		`{"sha":"main","siblings":[]}`:    "40 hexadecimal",
		`{"sha":"` + sha[1:] + `"}`:       "40 hexadecimal",
		`{"siblings":[{"rfilename":"x"}`:  "unexpected end",
		`{"sha":"../../../../etc/passw"}`: "40 hexadecimal",
		`{"sha":"` + sha + `","siblings":[{"rfilename":"../config.json"}]}`:  "leads out",
		`{"sha":"` + sha + `","siblings":[{"rfilename":"/etc/passwd"}]}`:     "leads out",
		`{"sha":"` + sha + `","siblings":[{"rfilename":"a/../../x"}]}`:       "leads out",
		`{"sha":"` + sha + `","siblings":[{"rfilename":"..\\config.json"}]}`: "leads out",
		`{"sha":"` + sha + `","siblings":[{"rfilename":""}]}`:                "leads out",
	} {
		if l, err := parseListing([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v; want %q", in, l, err, says)
		}
	}
}

func TestListingOfNoModel(t *testing.T) {
	for files, says := range map[string]string{
		"README.md":                       "no config.json",
		"config.json":                     "no weights",
		"config.json pytorch_model.bin":   "pytorch_model.bin: take",
		"config.json a/x.safetensors":     "a/x.safetensors",
		"config.json model.safetensors":   "",
		"config.json " + indexFile + " x": "",
	} {
		err := listing{files: strings.Fields(files)}.check()
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", files, err, says)
		}
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestDescribe(t *testing.T) {
	long := strings.Repeat("ab", 32)
	lfs := header("X-Repo-Commit", sha, "X-Linked-Etag", `"`+long+`"`, "X-Linked-Size", "1000", "ETag", `"other"`, "Content-Length", "17")
	if f, err := describe("model.safetensors", sha, []http.Header{lfs}); err != nil || f.etag != long || f.size != 1000 {
		t.Errorf("%+v, %v", f, err)
	}
	moved := []http.Header{header("ETag", `W/"`+sha+`"`, "Content-Length", "12"), header("X-Repo-Commit", sha, "Content-Length", "300")}
	if f, err := describe("config.json", sha, moved); err != nil || f.etag != sha || f.size != 12 {
		t.Errorf("%+v, %v", f, err)
	}
	for name, h := range map[string]http.Header{
		"no digest":   header("ETag", `"17-abc"`, "Content-Length", "12"),
		"a path":      header("ETag", `"../../x"`, "Content-Length", "12"),
		"no size":     header("ETag", sha),
		"negative":    header("ETag", sha, "Content-Length", "-1"),
		"absurd":      header("ETag", sha, "Content-Length", "9000000000000000000"),
		"past 64 bit": header("ETag", sha, "Content-Length", "99999999999999999999999"),
		"a large one": header("ETag", sha, "Content-Length", "200000000"),
		"elsewhere":   header("ETag", sha, "Content-Length", "12", "X-Repo-Commit", strings.Repeat("0", 40)),
	} {
		if f, err := describe("config.json", sha, []http.Header{h}); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestRangeStart(t *testing.T) {
	if from, err := rangeStart("bytes 10-99/100", 100); err != nil || from != 10 {
		t.Errorf("%d, %v", from, err)
	}
	for _, s := range []string{"", "bytes */100", "bytes 10-99/*", "bytes 10-99/101", "bytes -1-99/100", "bytes 20-10/100", "items 1-2/100"} {
		if _, err := rangeStart(s, 100); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestStatusFault(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := asked{name: Name{"org", "name", "v1"}, endpoint: "https://hub", what: "config.json"}
	with := a
	with.token = true
	for _, c := range []struct {
		status int
		asked  asked
		header http.Header
		kind   error
		says   string
	}{
		{401, a, nil, ErrRequest, "HF_TOKEN"},
		{401, with, nil, ErrRequest, "doesn't take the token"},
		{401, a, header("X-Error-Code", "GatedRepo"), ErrRequest, "accept them at https://hub/org/name"},
		{403, a, nil, ErrRequest, "without a token"},
		{403, with, nil, ErrRequest, "may not read org/name"},
		{404, a, nil, ErrRequest, "no model org/name"},
		{404, a, header("X-Error-Code", "RevisionNotFound"), ErrRequest, `no revision "v1"`},
		{404, a, header("X-Error-Code", "EntryNotFound"), ErrRequest, "no file config.json"},
		{429, a, header("Retry-After", "17"), ErrNetwork, "after 17s; with a token"},
		{429, with, header("Retry-After", "Thu, 01 Jan 2026 00:05:00 GMT"), ErrNetwork, "after 5m0s"},
		{429, with, header("Retry-After", "soon"), ErrNetwork, "in a while"},
		{500, a, nil, ErrNetwork, "500 Internal Server Error"},
		{503, a, nil, ErrNetwork, "run this again later"},
		{302, a, nil, ErrNetwork, "is HF_ENDPOINT a hub"},
		{418, a, nil, ErrRequest, "418"},
	} {
		if c.header == nil {
			c.header = http.Header{}
		}
		err := statusFault(c.status, c.header, c.asked, now)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d: %v; want %v, %q", c.status, err, c.kind, c.says)
		}
	}
	if err := statusFault(206, http.Header{}, a, now); err != nil {
		t.Error(err)
	}
}

func TestPauseAfter(t *testing.T) {
	if d, again := pauseAfter(passing("x"), 3); !again || d != 4*time.Second {
		t.Errorf("%v, %v", d, again)
	}
	if d, again := pauseAfter(&fault{kind: ErrNetwork, err: errors.New("x"), again: true, after: 20 * time.Second}, 1); !again || d != 20*time.Second {
		t.Errorf("%v, %v", d, again)
	}
	for _, err := range []error{nil, refuse("x"), broken("x"), &fault{kind: ErrNetwork, err: errors.New("x"), again: true, after: time.Hour}} {
		if _, again := pauseAfter(err, 1); again {
			t.Errorf("%v: tried again", err)
		}
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte(`{"sha":"` + sha + `","siblings":[{"rfilename":"config.json"},{"rfilename":"a/b"}]}`))
	f.Add([]byte(`{"sha":"` + sha + `","siblings":[{"rfilename":"../x"}]}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`<!doctype html>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data)
		if err != nil {
			return
		}
		for _, name := range append(l.small(), l.files...) {
			if !filepath.IsLocal(name) {
				t.Fatalf("%q leads out", name)
			}
		}
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add(sha, "12", sha, "12", sha)
	f.Add(`"`+strings.Repeat("ab", 32)+`"`, "-1", `W/"x"`, "9e9", "")
	f.Fuzz(func(t *testing.T, linked, linkedSize, etag, length, commit string) {
		h := http.Header{"X-Linked-Etag": {linked}, "X-Linked-Size": {linkedSize}, "Etag": {etag}, "Content-Length": {length}, "X-Repo-Commit": {commit}}
		got, err := describe("model.safetensors", sha, []http.Header{h})
		if err == nil && (!digestPattern.MatchString(got.etag) || got.size < 0 || got.size > maxWeights) {
			t.Fatalf("%+v", got)
		}
	})
}
