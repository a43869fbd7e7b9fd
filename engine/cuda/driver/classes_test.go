package driver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestClasses: codes of the driver belong to classes, and only to one.
func TestClasses(t *testing.T) {
	all := []error{ErrNoDriver, ErrNoDevice, ErrOutOfMemory, ErrImage, ErrBusy, ErrLost}
	for want, codes := range map[error][]int{
		ErrNoDriver:    {3, 4, 34, 35, 36, 803, 804},
		ErrNoDevice:    {100, 101},
		ErrOutOfMemory: {2},
		ErrImage:       {200, 209, 218, 220, 221, 222, 223, 300},
		ErrBusy:        {46, 802},
		ErrLost:        {214, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810, 999},
		nil:            {1, 201, 400, 600, 720, 900},
	} {
		for _, code := range codes {
			err := within(&Error{Call: "cuCall", Name: "CUDA_ERROR", Code: code}, "do it with %d", 7)
			for _, class := range all {
				if got := errors.Is(err, class); got != (class == want) {
					t.Errorf("%d is %v: %v", code, class, got)
				}
			}
			if want != nil && (!strings.HasPrefix(err.Error(), "do it with 7: cuCall: CUDA_ERROR (") || adviceFor(code).words == "") {
				t.Errorf("%d: %q says too little", code, err)
			}
		}
	}
	if words := adviceFor(802).words; !strings.Contains(words, "fabric manager") {
		t.Errorf("802: %q doesn't name the fabric manager", words)
	}
}

// TestFindNVRTC: what the environment names comes before wheels, newer versions before older ones, and the loader's
// own search last.
func TestFindNVRTC(t *testing.T) {
	root := t.TempDir()
	file := func(parts ...string) string {
		t.Helper()
		path := filepath.Join(append([]string{root}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := file("named", "libnvrtc.so.12")
	file("named", "libnvrtc-builtins.so.12.9")
	home, path := file("home", "lib", "libnvrtc.so.13"), file("path", "lib64", "libnvrtc.so.12")
	older := file("venv", "lib", "python3.11", "site-packages", "nvidia", "cuda_nvrtc", "lib", "libnvrtc.so.12")
	newer := file("venv", "lib", "python3.11", "site-packages", "nvidia", "cu13", "lib", "libnvrtc.so.13")
	user := file("user", ".local", "lib", "python3.12", "site-packages", "nvidia", "cu13", "lib", "libnvrtc.so.13")
	for name, folder := range map[string]string{
		"PACELINE_NVRTC": "named", "PACELINE_CUDA_HOME": "home", "CUDA_HOME": "none", "CUDA_PATH": "path",
		"VIRTUAL_ENV": "venv", "CONDA_PREFIX": "none", "HOME": "user",
	} {
		t.Setenv(name, filepath.Join(root, folder))
	}
	got := findNVRTC()
	want := []string{named, home, path, newer, older}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || !slices.Contains(got, user) {
		t.Errorf("got %q, want %q first and %s", got, want, user)
	}
	if last := got[len(got)-2:]; !slices.Equal(last, []string{"libnvrtc.so.13", "libnvrtc.so.12"}) {
		t.Errorf("last come %q", last)
	}
	missing := filepath.Join(root, "not there.so")
	t.Setenv("PACELINE_NVRTC", missing)
	if got := findNVRTC(); got[0] != missing {
		t.Errorf("a file that was named comes after %s", got[0])
	}
}
