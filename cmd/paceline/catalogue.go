//go:build native

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/paceline/paceline/engine/model/robotstories"
)

// catalogue finds the folder of a model by name: "default" and "robot-stories" are
// the shipped model, unpacked once below dir (empty: the user's cache folder);
// ORG/NAME that is no folder is a model that was pulled; a path is that folder, which
// only a person at this machine can have asked for.
func catalogue(dir string) func(name string) (string, error) {
	return func(name string) (string, error) {
		switch {
		case name == "" || name == "default" || name == shippedModel:
			return unpackShipped(dir)
		case isPulledName(name):
			return pulledModel(name)
		case filepath.IsAbs(name) || filepath.Base(name) != name || isFolder(name):
			path, err := filepath.Abs(name)
			if err != nil {
				return "", fmt.Errorf("model %s: %w", name, err)
			}
			if !isFolder(path) {
				return "", fmt.Errorf("no model folder at %s: give a folder with config.json, tokenizer.json and *.safetensors", path)
			}
			return path, nil
		}
		if dir, err := pulledModel(name); err == nil { // the few whose name on the hub has no organisation
			return dir, nil
		}
		return "", fmt.Errorf("no model %q: this machine knows %q; or give a name of a hub as ORG/NAME, or the model's folder by its path", name, shippedModel)
	}
}

func unpackShipped(dir string) (string, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the shipped model: %w: set XDG_CACHE_HOME", err)
		}
		dir = filepath.Join(cache, "paceline", "models")
	}
	dir = filepath.Join(dir, shippedModel+"-"+robotstories.Digest()[:12])
	if err := robotstories.Extract(dir); err != nil {
		return "", fmt.Errorf("unpack the shipped model: %w", err)
	}
	return dir, nil
}
