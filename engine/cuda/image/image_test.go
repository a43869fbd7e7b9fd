package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

func hopper() driver.DeviceInfo {
	return driver.DeviceInfo{Name: "a device", Major: 9, Minor: 0, BF16: true}
}

// qwen is the shape of Qwen2.5-0.5B, which the program carries.
func qwen(t *testing.T, f kernels.Format) kernels.Shape {
	t.Helper()
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	s, err := kernels.ShapeOf(c, f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "new", "folder")}
	if code, _, err := s.Get("key"); code != nil || err != nil {
		t.Errorf("an empty store gave %d bytes, error %v", len(code), err)
	}
	for maker, code := range map[string]string{"nvrtc-12.9": "old", "nvrtc-13.0": "new"} {
		if err := s.Put("key", maker, []byte(code)); err != nil {
			t.Fatal(err)
		}
	}
	code, maker, err := s.Get("key")
	if string(code) != "new" || maker != "nvrtc-13.0" || err != nil {
		t.Errorf("got %q of %s, error %v, want the newer compiler's", code, maker, err)
	}
	if entries, err := os.ReadDir(s.Folder); err != nil || len(entries) != 2 {
		t.Errorf("%d files, error %v, want 2", len(entries), err)
	}
}

// TestDamagedFile: it is named, removed, and the next best is taken.
func TestDamagedFile(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"changed": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"empty":   func([]byte) []byte { return nil },
		"other":   func([]byte) []byte { return []byte("something else altogether, and long enough to hold a checksum") },
	} {
		s := Store{t.TempDir()}
		for _, maker := range []string{"nvrtc-12.9", "nvrtc-13.0"} {
			if err := s.Put("key", maker, []byte(maker)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(s.Folder, "key-nvrtc-13.0.cubin")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(data), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, err := s.Get("key")
		if string(code) != "nvrtc-12.9" || err == nil || !strings.Contains(err.Error(), path+" is damaged: removed") {
			t.Errorf("%s: got %q, error %v", name, code, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file is still there", name)
		}
	}
}

// TestKeys: whatever changes the code changes the key.
func TestKeys(t *testing.T) {
	s := qwen(t, kernels.BF16)
	seen := map[string]bool{Key(s, "sm_90a"): true}
	other := s
	other.Inter++
	for _, k := range []string{Key(s, "sm_80"), Key(other, "sm_90a"), Key(qwen(t, kernels.W8), "sm_90a")} {
		if seen[k] {
			t.Error("two kinds of code have one key")
		}
		seen[k] = true
	}
	if !seen[Key(qwen(t, kernels.BF16), "sm_90a")] {
		t.Error("the same code has two keys")
	}
	for want, d := range map[string]driver.DeviceInfo{"sm_90a": hopper(), "sm_86": {Major: 8, Minor: 6}, "sm_120a": {Major: 12}} {
		if got := ArchOf(d, false); got != want {
			t.Errorf("%d.%d: %s, want %s", d.Major, d.Minor, got, want)
		}
	}
}

// TestOrder: kept code first, then the compiler, then what the program carries.
func TestOrder(t *testing.T) {
	s, d := qwen(t, kernels.W4), hopper()
	l := Loader{carried: fstest.MapFS{}, Store: Store{t.TempDir()}, NVRTC: filepath.Join(t.TempDir(), "no such library")}
	f, err := l.Load(s, d)
	if err != nil || f.From != "PTX, compiled by the driver" || !bytes.Contains(f.Code, []byte(".target sm_90")) {
		t.Errorf("with nothing there: from %q, error %v", f.From, err)
	}
	ampere, err := l.Load(s, driver.DeviceInfo{Major: 8, Minor: 6})
	if err != nil || !bytes.Contains(ampere.Code, []byte(".target sm_80")) {
		t.Errorf("for an older device: from %q, error %v", ampere.From, err)
	}
	if err := l.Store.Put(Key(s, "sm_90a"), "nvrtc-13.0", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if f, err = l.Load(s, d); err != nil || string(f.Code) != "kept" || f.From != "kept (nvrtc-13.0)" {
		t.Errorf("with kept code: %q from %q, error %v", f.Code, f.From, err)
	}
	s.Hidden = 1024
	_, err = l.Load(s, d)
	if !errors.Is(err, driver.ErrImage) || !errors.Is(err, driver.ErrNoNVRTC) || !strings.Contains(err.Error(), "1024 wide") || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("a shape that nobody has: %v", err)
	}
	l.Emulated = true
	if _, err = l.Load(s, d); !errors.Is(err, driver.ErrImage) || !strings.Contains(err.Error(), "emulator") {
		t.Errorf("nothing for the emulator: %v", err)
	}
}

// TestCompiles compiles for real, and finds what it compiled in the store.
func TestCompiles(t *testing.T) {
	if os.Getenv("PACELINE_CUDA_HOME") == "" {
		t.Skip("no NVRTC: PACELINE_CUDA_HOME isn't set")
	}
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	s, err := kernels.ShapeOf(c, kernels.BF16)
	if err != nil {
		t.Fatal(err)
	}
	l := Loader{carried: fstest.MapFS{}, Store: Store{t.TempDir()}}
	first, err := l.Load(s, hopper())
	if err != nil || !strings.HasPrefix(first.From, "compiled (nvrtc-") || !bytes.HasPrefix(first.Code, []byte("\x7fELF")) {
		t.Fatalf("from %q, error %v", first.From, err)
	}
	second, err := l.Load(s, hopper())
	if err != nil || !strings.HasPrefix(second.From, "kept (nvrtc-") || !bytes.Equal(first.Code, second.Code) {
		t.Errorf("then from %q, error %v", second.From, err)
	}
}

// TestCarried holds the carried PTX against its manifest, and that against the sources.
func TestCarried(t *testing.T) {
	m, err := Carried()
	if err != nil {
		t.Fatal(err)
	}
	if m.Sources != kernels.Digest() {
		t.Errorf("the PTX is of other sources than engine/cuda/kernels: make it again with \"make ptx\"")
	}
	if len(m.Files) != 12 {
		t.Errorf("%d files, want 12: two models in three formats for two architectures", len(m.Files))
	}
	ptxas := filepath.Join(os.Getenv("PACELINE_CUDA_HOME"), "bin", "ptxas")
	for _, e := range m.Files {
		text, err := e.Text()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if hex.EncodeToString(sum[:]) != e.SHA256 {
			t.Errorf("%s isn't what the manifest says", e.Name)
		}
		if !bytes.HasPrefix(text, []byte(".version "+m.Version+"\n")) || bytes.Contains(text, []byte("\n.file")) {
			t.Errorf("%s begins with %q, or has lines of the source", e.Name, text[:20])
		}
		if os.Getenv("PACELINE_DEEP") == "" || os.Getenv("PACELINE_CUDA_HOME") == "" {
			continue
		}
		path := filepath.Join(t.TempDir(), "kernels.ptx")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		arch := strings.Replace(e.Arch, "compute", "sm", 1)
		if out, err := exec.Command(ptxas, "-arch="+arch, path, "-o", os.DevNull).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", e.Name, err, out)
		}
	}
}

// TestEmbedded: cubins that a build was given come after what is kept on disk and before any compiler; a damaged one is
// named and passed over.
func TestEmbedded(t *testing.T) {
	s, folder := qwen(t, kernels.BF16), t.TempDir()
	key := Key(s, "sm_90a")
	if err := Embed(folder, key, "nvrtc-13.0", []byte("a cubin")); err != nil {
		t.Fatal(err)
	}
	name := key + "-nvrtc-13.0" + packed
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	carried := fstest.MapFS{"cubins/README.md": {}, "cubins/" + name: {Data: data}}
	l := Loader{Store: Store{t.TempDir()}, NVRTC: filepath.Join(folder, "nothing"), carried: carried}
	f, err := l.Load(s, hopper())
	if err != nil || string(f.Code) != "a cubin" || f.From != "carried (nvrtc-13.0)" || len(f.Notes) > 0 {
		t.Errorf("%q from %q, notes %v, error %v", f.Code, f.From, f.Notes, err)
	}
	if err := l.Store.Put(key, "nvrtc-13.1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if f, err := l.Load(s, hopper()); err != nil || string(f.Code) != "kept" {
		t.Errorf("with one on disk: %q from %q, error %v", f.Code, f.From, err)
	}
	for what, bad := range map[string][]byte{"cut": data[:len(data)-9], "not packed": []byte("a cubin")} {
		l := Loader{NVRTC: filepath.Join(folder, "nothing"), carried: fstest.MapFS{"cubins/" + name: {Data: bad}}}
		f, err := l.Load(s, hopper())
		if err != nil || f.From != "PTX, compiled by the driver" || len(f.Notes) == 0 || !strings.Contains(f.Notes[0], name) {
			t.Errorf("%s: from %q, notes %v, error %v", what, f.From, f.Notes, err)
		}
	}
}

// FuzzDecode: what is taken for whole is what was written, to the byte.
func FuzzDecode(f *testing.F) {
	f.Add(encode([]byte("code")))
	f.Add(encode(nil))
	f.Add(encode([]byte("code"))[:30])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if code, ok := decode(data); ok && !bytes.Equal(encode(code), data) {
			t.Errorf("%d bytes of code in a file of %d that nobody wrote", len(code), len(data))
		}
	})
}
