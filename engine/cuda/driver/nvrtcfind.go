package driver

import (
	"os"
	"path/filepath"
	"slices"
)

// findNVRTC lists where the compiler may be, best first: what PACELINE_NVRTC names (a file, or a folder), the
// folders of PACELINE_CUDA_HOME, CUDA_HOME and CUDA_PATH, wheels of Python packages, the usual places of
// toolkits, and whatever the loader finds by name.
func findNVRTC() []string {
	var places []string
	add := func(patterns ...string) {
		for _, p := range patterns {
			found, err := filepath.Glob(p)
			if err != nil {
				continue // a folder's name with a bracket: nothing is found there
			}
			slices.Sort(found)
			slices.Reverse(found) // newer versions first
			places = append(places, found...)
		}
	}
	const library = "libnvrtc.so.1[0-9]"
	if p := os.Getenv("PACELINE_NVRTC"); p != "" {
		if i, err := os.Stat(p); err == nil && i.IsDir() {
			add(filepath.Join(p, library))
		} else {
			places = append(places, p)
		}
	}
	for _, name := range []string{"PACELINE_CUDA_HOME", "CUDA_HOME", "CUDA_PATH"} {
		if p := os.Getenv(name); p != "" {
			add(filepath.Join(p, "lib", library), filepath.Join(p, "lib64", library))
		}
	}
	roots := []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX"), "/usr/local", "/usr", "/opt/conda"}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".local"))
	}
	for _, root := range roots {
		if root == "" {
			continue
		}
		for _, packages := range []string{"site-packages", "dist-packages"} {
			base := filepath.Join(root, "lib", "python3*", packages, "nvidia")
			add(filepath.Join(base, "cu1[0-9]", "lib", library), filepath.Join(base, "cuda_nvrtc", "lib", library))
		}
	}
	add(filepath.Join("/usr/local/cuda*/lib64", library), filepath.Join("/usr/lib/x86_64-linux-gnu", library), filepath.Join("/usr/lib64", library))
	return append(places, "libnvrtc.so.13", "libnvrtc.so.12")
}
