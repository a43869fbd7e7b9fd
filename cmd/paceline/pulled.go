package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/paceline/paceline/engine/model/hub"
)

// isPulledName says whether a name is a hub's, ORG/NAME or ORG/NAME@REVISION, and
// no folder's.
func isPulledName(name string) bool {
	n, err := hub.ParseName(name)
	return err == nil && n.Org != "" && !isFolder(name)
}

// pulledModel finds the folder of a model that was pulled, by its name on the hub.
func pulledModel(name string) (string, error) {
	n, err := hub.ParseName(name)
	if err != nil {
		return "", err
	}
	cache, err := hub.CacheDir(os.Getenv)
	if err != nil {
		return "", err
	}
	s, err := hub.Find(cache, n)
	switch {
	case errors.Is(err, hub.ErrAbsent):
		return "", fmt.Errorf("%w, and there is no folder %s: fetch the model with paceline model pull %s", err, strings.TrimSuffix(name, "/"), n)
	case err != nil:
		return "", fmt.Errorf("find model %s: %w", n, err)
	}
	return s.Dir, nil
}
