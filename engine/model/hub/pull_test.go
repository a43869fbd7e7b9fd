package hub

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/hub/hubtest"
	"github.com/paceline/paceline/engine/model/robotstories"
)

const secret = "hf_veryVerySecret"

// shipped are the files of a small model that is real.
func shipped(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"pytorch_model.bin": []byte("not wanted"), "onnx/model.onnx": []byte("nor this")}
	entries, err := fs.ReadDir(robotstories.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = fs.ReadFile(robotstories.FS(), e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// bench is a hub, a cache and what a pull needs.
type bench struct {
	*hubtest.Server
	t     *testing.T
	files map[string][]byte
	o     Options
	waits []time.Duration
}

func newBench(t *testing.T, files map[string][]byte) *bench {
	t.Helper()
	b := &bench{Server: hubtest.Start(t, "org/robots", files), t: t, files: files}
	b.o = Options{Cache: filepath.Join(t.TempDir(), "hub"), Endpoint: b.URL, Wait: func(ctx context.Context, d time.Duration) error {
		b.waits = append(b.waits, d)
		return ctx.Err()
	}}
	return b
}

func (b *bench) pull(name string) (Result, error) {
	b.t.Helper()
	n, err := ParseName(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return Pull(b.t.Context(), n, b.o)
}

func (b *bench) must(name string) Result {
	b.t.Helper()
	r, err := b.pull(name)
	if err != nil {
		b.t.Fatal(err)
	}
	b.whole(r.Dir)
	return r
}

// whole checks every byte of the snapshot against what the hub has.
func (b *bench) whole(dir string) {
	b.t.Helper()
	for name, want := range b.files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch filepath.Ext(name) {
		case ".md", ".bin", ".onnx":
			if err == nil {
				b.t.Errorf("%s was pulled and nobody reads it", name)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, want) {
			b.t.Errorf("%s differs from the hub's: %v", name, err)
		}
		if link, err := os.Readlink(filepath.Join(dir, name)); err != nil || link != "../../blobs/"+b.ETag(name) {
			b.t.Errorf("%s is a link to %q, %v", name, link, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(b.o.Cache, "models--org--robots", "blobs", "*.incomplete"))
	if err != nil || len(left) > 0 {
		b.t.Errorf("left behind: %v, %v", left, err)
	}
}

// nothing checks that no file shows in any snapshot.
func (b *bench) nothing() {
	b.t.Helper()
	shown, err := filepath.Glob(filepath.Join(b.o.Cache, "models--*", "snapshots", "*"))
	if err != nil || len(shown) > 0 {
		b.t.Errorf("visible: %v, %v", shown, err)
	}
	if _, err := Find(b.o.Cache, Name{"org", "robots", "main"}); !errors.Is(err, ErrAbsent) {
		b.t.Errorf("found: %v", err)
	}
}

// weights says whether a request is for the contents of the weights.
func weights(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("file") == weightsFile
}

func (b *bench) blob(name string) string {
	return filepath.Join(b.o.Cache, "models--org--robots", "blobs", b.ETag(name))
}

func TestPull(t *testing.T) {
	b := newBench(t, shipped(t))
	var last Progress
	b.o.Progress = func(p Progress) {
		if p.Done < last.Done || p.Done > p.Total || p.FileDone > p.FileSize || p.Here > p.Done {
			t.Errorf("progress goes from %+v to %+v", last, p)
		}
		last = p
	}
	r := b.must("org/robots")
	if r.Commit != hubtest.Commit || r.Offline != nil || r.Fetched != r.Bytes || last.Done != r.Bytes || last.Total != r.Bytes {
		t.Errorf("%+v, last progress %+v", r, last)
	}
	c, err := model.Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	ref, err := os.ReadFile(filepath.Join(b.o.Cache, "models--org--robots", "refs", "main"))
	if err != nil || string(ref) != hubtest.Commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	list, err := List(b.o.Cache)
	if err != nil || len(list) != 1 || list[0].Name.String() != "org/robots" || list[0].Bytes != r.Bytes {
		t.Errorf("list %+v, %v", list, err)
	}

	last = Progress{}
	if again := b.must("org/robots"); again.Fetched != 0 {
		t.Errorf("a second pull fetched %d bytes", again.Fetched)
	}
	before := len(b.Requests())
	if r := b.must("org/robots@" + hubtest.Commit); r.Offline != nil || len(b.Requests()) != before {
		t.Errorf("a commit that is here was asked for: %+v", b.Requests()[before:])
	}
	b.o.Progress = nil
	b.must("org/robots@refs/pr/1")
	if list, err := List(b.o.Cache); err != nil || len(list) != 2 || list[1].Name.String() != "org/robots@refs/pr/1" {
		t.Errorf("list %+v, %v", list, err)
	}
	if s, err := Find(b.o.Cache, Name{"org", "robots", "refs/pr/1"}); err != nil || s.Commit != hubtest.Commit {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPullShards(t *testing.T) {
	files := shipped(t)
	delete(files, weightsFile)
	files[indexFile] = []byte(`{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-1.safetensors"}}`)
	files["model-1.safetensors"], files["model-2.safetensors"] = []byte("first"), []byte("second")
	b := newBench(t, files)
	r := b.must("org/robots")
	if err := os.Remove(filepath.Join(r.Dir, "model-2.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(b.o.Cache, r.Name); !errors.Is(err, ErrAbsent) {
		t.Errorf("a snapshot without a shard is found: %v", err)
	}
	b.must("org/robots") // mends it

	for _, index := range []string{`{"weight_map":{"a":"../../x.safetensors"}}`, `{"weight_map":{"a":"model-3.safetensors"}}`, `{}`} {
		files := maps.Clone(files)
		files[indexFile] = []byte(index)
		b := newBench(t, files)
		if _, err := b.pull("org/robots"); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), indexFile) {
			t.Errorf("%s: %v", index, err)
		}
		b.nothing()
	}
}

// TestResume breaks the connection in the middle, again and again.
func TestResume(t *testing.T) {
	b := newBench(t, shipped(t))
	data := b.files[weightsFile]
	r := rand.New(rand.NewPCG(1, 2))
	cuts := 0
	b.Fault(func(w http.ResponseWriter, r2 *http.Request) bool {
		if !weights(r2) || cuts == 7 {
			return false
		}
		cuts++
		if r2.Header.Get("Range") == "" {
			hubtest.Cut(w, data, 100_000+r.IntN(100_000))
		}
		panic(http.ErrAbortHandler) // nothing at all this time
	})
	// Five in a row without a byte are enough; what arrived stays.
	_, err := b.pull("org/robots")
	if !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "goes on where it stopped") {
		t.Fatalf("%v", err)
	}
	if len(b.waits) != 4 || b.waits[0] != time.Second || b.waits[3] != 8*time.Second {
		t.Errorf("waited %v", b.waits)
	}
	b.nothing()
	part, err := os.Stat(b.blob(weightsFile) + ".incomplete")
	if err != nil || part.Size() < 100_000 {
		t.Fatalf("the part is gone: %v, %v", part, err)
	}
	res := b.must("org/robots")
	if res.Fetched > res.Bytes-100_000 {
		t.Errorf("fetched %d of %d bytes: the part was fetched twice", res.Fetched, res.Bytes)
	}
	ranges := 0
	for _, q := range b.Requests() {
		if q.CDN && q.Range != "" {
			ranges++
		}
	}
	if ranges == 0 {
		t.Error("no request had a range")
	}
}

func TestTruncated(t *testing.T) {
	b := newBench(t, shipped(t))
	data := b.files[weightsFile]
	b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if !weights(r) || r.Header.Get("Range") != "" {
			return false
		}
		_, _ = w.Write(data[:1000]) // a whole answer, of part of the file
		return true
	})
	b.must("org/robots")
}

func TestServerWithoutRanges(t *testing.T) {
	b := newBench(t, shipped(t))
	plant(t, b, weightsFile, b.files[weightsFile][:5000])
	b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if weights(r) {
			_, _ = w.Write(b.files[weightsFile])
		}
		return weights(r)
	})
	b.must("org/robots")
}

// plant puts a part of a file there, as a pull that was killed leaves it.
func plant(t *testing.T, b *bench, name string, data []byte) {
	t.Helper()
	path := b.blob(name) + ".incomplete"
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestPartsThatAreWrong(t *testing.T) {
	for name, part := range map[string]func(data []byte) []byte{
		"other bytes": func(data []byte) []byte { return bytes.Repeat([]byte{7}, 5000) },
		"too long":    func(data []byte) []byte { return append(bytes.Clone(data), 1) },
		"whole":       bytes.Clone,
		"whole, bad":  func(data []byte) []byte { return bytes.Repeat([]byte{7}, len(data)) },
		"empty":       func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, shipped(t))
			plant(t, b, weightsFile, part(b.files[weightsFile]))
			plant(t, b, configFile, part(b.files[configFile]))
			b.must("org/robots")
		})
	}
}

func TestWrongDigest(t *testing.T) {
	for _, name := range []string{weightsFile, configFile} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, shipped(t))
			bad := bytes.Clone(b.files[name])
			bad[len(bad)/2] ^= 1
			b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
				hit := r.Method == http.MethodGet && (r.URL.Query().Get("file") == name || strings.HasSuffix(r.URL.Path, "/"+name))
				if hit && !(r.URL.Query().Get("file") == "" && name == weightsFile) {
					_, _ = w.Write(bad)
					return true
				}
				return false
			})
			_, err := b.pull("org/robots")
			if !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "is damaged") {
				t.Fatalf("%v", err)
			}
			b.nothing()
			if st, err := os.Stat(b.blob(name) + ".incomplete"); err == nil && st.Size() > 0 {
				t.Errorf("%d damaged bytes are kept", st.Size())
			}
			b.Fault(nil)
			b.must("org/robots")
		})
	}
}

func TestPullOfACommit(t *testing.T) {
	b := newBench(t, shipped(t))
	b.must("org/robots@" + hubtest.Commit)
	if list, err := List(b.o.Cache); err != nil || len(list) != 1 || list[0].Name.Revision != hubtest.Commit {
		t.Errorf("list %+v, %v", list, err)
	}
	if _, err := Find(b.o.Cache, Name{"org", "robots", "main"}); !errors.Is(err, ErrAbsent) {
		t.Errorf("main leads to a commit that was named: %v", err)
	}
}

// TestDamagedBlob: one that another program left is replaced, not believed.
func TestDamagedBlob(t *testing.T) {
	b := newBench(t, shipped(t))
	b.must("org/robots")
	if err := os.WriteFile(b.blob(weightsFile), make([]byte, len(b.files[weightsFile])), 0o644); err != nil {
		t.Fatal(err)
	}
	b.must("org/robots")
}

func TestOffline(t *testing.T) {
	b := newBench(t, shipped(t))
	want := b.must("org/robots")
	b.o.Endpoint = "http://127.0.0.1:1"
	got := b.must("org/robots")
	if got.Dir != want.Dir || !errors.Is(got.Offline, ErrNetwork) || got.Fetched != 0 {
		t.Errorf("%+v", got)
	}
	if _, err := b.pull("org/robots@v2"); !errors.Is(err, ErrNetwork) {
		t.Errorf("a revision that isn't here: %v", err)
	}
}

// TestTwoAtOnce: the second waits for the first's lock and fetches nothing twice.
func TestTwoAtOnce(t *testing.T) {
	b := newBench(t, shipped(t))
	waits, once := make(chan struct{}), sync.Once{}
	b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if weights(r) {
			<-waits // until the other one has been told to wait
		}
		return false
	})
	b.o.Progress = func(p Progress) {
		if p.Waiting && p.File == weightsFile {
			once.Do(func() { close(waits) })
		}
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := Pull(t.Context(), Name{"org", "robots", "main"}, b.o); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	b.must("org/robots")
	fetched := 0
	for _, q := range b.Requests() {
		if q.CDN && q.Method == http.MethodGet && strings.HasSuffix(q.Path, b.ETag(weightsFile)) {
			fetched++
		}
	}
	if fetched != 1 {
		t.Errorf("the weights were fetched %d times", fetched)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t, shipped(t))
	ctx, cancel := context.WithCancel(t.Context())
	b.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if weights(r) {
			cancel()
			<-r.Context().Done()
		}
		return false
	})
	if _, err := Pull(ctx, Name{"org", "robots", "main"}, b.o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	b.nothing()
}

func TestCacheDir(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/a":                        {"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "HOME": "/h"},
		"/b/hub":                    {"HF_HOME": "/b", "XDG_CACHE_HOME": "/x", "HOME": "/h"},
		"/x/huggingface/hub":        {"XDG_CACHE_HOME": "/x", "HOME": "/h"},
		"/h/.cache/huggingface/hub": {"HOME": "/h"},
	} {
		if got, err := CacheDir(func(k string) string { return env[k] }); err != nil || got != want {
			t.Errorf("%v: %s, %v; want %s", env, got, err, want)
		}
	}
	if _, err := CacheDir(func(string) string { return "" }); !errors.Is(err, ErrRequest) {
		t.Errorf("nowhere: %v", err)
	}
}
