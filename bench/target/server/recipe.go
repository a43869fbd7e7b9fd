package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
)

// Recipe says how a server is started. In Args, Env and URL {port} stands for a free
// port of the loopback, and every name of Values for its value.
type Recipe struct {
	Args         []string          // program and arguments
	Env          []string          // NAME=value, added to this process's own
	URL          string            // where it will listen; empty: http://127.0.0.1:{port}
	Ready        string            // path that answers 200 once it can be measured; empty: /health
	ReadyTimeout time.Duration     // from its start; 0: 10 minutes
	Values       map[string]string // "model", "build", "image", …: what is known of the subject
}

// Defaults of a Recipe.
const (
	defaultURL     = "http://127.0.0.1:{port}"
	defaultReady   = "/health"
	defaultTimeout = 10 * time.Minute
)

// Check says what is wrong with a recipe before anything is started.
func (r Recipe) Check() error {
	if len(r.Args) == 0 || r.Args[0] == "" {
		return errors.New("a launch recipe names no program")
	}
	if r.Ready != "" && !strings.HasPrefix(r.Ready, "/") {
		return fmt.Errorf("the ready path %q must begin with /, such as /health", r.Ready)
	}
	for _, e := range r.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("the environment %q must be NAME=value", e)
		}
	}
	_, err := r.filled(1)
	return err
}

// filled replaces what stands in braces.
func (r Recipe) filled(port int) (Recipe, error) {
	if r.URL == "" {
		r.URL = defaultURL
	}
	values := map[string]string{"port": strconv.Itoa(port)}
	for k, v := range r.Values {
		values[k] = v
	}
	var err error
	each := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			var e error
			if out[i], e = fill(s, values); e != nil && err == nil {
				err = e
			}
		}
		return out
	}
	r.Args, r.Env = each(r.Args), each(r.Env)
	r.URL = each([]string{r.URL})[0]
	if err != nil {
		return r, err
	}
	if _, err := url.Parse(r.URL); err != nil {
		return r, fmt.Errorf("the address %q of a launch recipe: %w", r.URL, err)
	}
	if r.Ready == "" {
		r.Ready = defaultReady
	}
	if r.ReadyTimeout <= 0 {
		r.ReadyTimeout = defaultTimeout
	}
	return r, nil
}

// fill replaces {name} in a text. Only lower-case letters and underscores make a name: JSON in an
// argument stays as it is.
func fill(s string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "{")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			b.WriteByte('{')
			s = after
			continue
		}
		v, known := values[name]
		if !known {
			var names []string
			for k := range values {
				names = append(names, k)
			}
			slices.Sort(names)
			err := fmt.Errorf("a launch recipe has {%s}, which isn't known here: known are {%s}", name, strings.Join(names, "}, {"))
			if near := metric.Nearest(name, names); near != "" {
				err = fmt.Errorf("%w; did you mean {%s}?", err, near)
			}
			return "", err
		}
		b.WriteString(v)
		s = rest
	}
}
