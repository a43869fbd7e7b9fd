// Package deploytest runs a composite GitHub action as a runner does: each step in a
// shell of its own, with the variables and files by which steps and runner talk.
//
// It knows what this repository's action needs and refuses the rest. Steps with `run`
// are really executed. Those with `uses` name services outside (the action cache, the
// store of artifacts): folders stand in for them, and whether the real ones behave alike
// is not tested here.
package deploytest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// Action is a composite action's metadata file.
type Action struct {
	Name        string            `yaml:"name"`
	Description string            `yaml:"description"`
	Branding    map[string]string `yaml:"branding"`
	Inputs      map[string]Input  `yaml:"inputs"`
	Outputs     map[string]Output `yaml:"outputs"`
	Runs        struct {
		Using string `yaml:"using"`
		Steps []Step `yaml:"steps"`
	} `yaml:"runs"`

	Dir string `yaml:"-"` // folder of the file, absolute
}

// Input is an input's declaration.
type Input struct {
	Description string `yaml:"description"`
	Required    bool   `yaml:"required"`
	Default     string `yaml:"default"`
}

// Output is an output's declaration.
type Output struct {
	Description string `yaml:"description"`
	Value       string `yaml:"value"`
}

// Step is a step of the action: Run or Uses.
type Step struct {
	ID               string            `yaml:"id"`
	Name             string            `yaml:"name"`
	If               string            `yaml:"if"`
	Shell            string            `yaml:"shell"`
	Run              string            `yaml:"run"`
	Uses             string            `yaml:"uses"`
	With             map[string]string `yaml:"with"`
	Env              map[string]string `yaml:"env"`
	WorkingDirectory string            `yaml:"working-directory"`
}

// ReadAction reads dir/action.yml. An unknown key is an error.
func ReadAction(dir string) (*Action, error) {
	path := filepath.Join(dir, "action.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read an action: %w", err)
	}
	var a Action
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&a); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if a.Runs.Using != "composite" || len(a.Runs.Steps) == 0 {
		return nil, fmt.Errorf("read %s: it runs using %q with %d steps: only composite actions are run here", path, a.Runs.Using, len(a.Runs.Steps))
	}
	for i, s := range a.Runs.Steps {
		if (s.Run == "") == (s.Uses == "") || s.Run != "" && s.Shell != "bash" {
			return nil, fmt.Errorf("read %s: step %d (%s) must have either run with shell bash, or uses", path, i+1, s.Name)
		}
	}
	if a.Dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("read an action: %w", err)
	}
	return &a, nil
}
