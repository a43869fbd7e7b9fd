package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// askWait bounds a question about the server itself.
const askWait = 10 * time.Second

// unknown stands for what a server doesn't say of itself.
const unknown = "(unknown)"

// recognise asks for the list of models: it settles model and dialect, and shows that
// the server answers.
func (t *Target) recognise(ctx context.Context) error {
	var list struct {
		Data []struct {
			ID      string `json:"id"`
			OwnedBy string `json:"owned_by"`
		} `json:"data"`
	}
	err := t.get(ctx, "/v1/models", &list)
	var status *StatusError
	switch {
	case errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed):
		if t.o.Model == "" {
			return errors.New("it lists no models (GET /v1/models isn't there): name the model as the server knows it, with --served-model")
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens there: %w: is the server running, and is this its port?", err)
	case err != nil:
		return err
	}
	owner := ""
	ids := make([]string, len(list.Data))
	for i, m := range list.Data {
		ids[i] = m.ID
		owner = m.OwnedBy
	}
	switch {
	case t.o.Model == "" && len(ids) == 1:
		t.o.Model = ids[0]
	case t.o.Model == "":
		return fmt.Errorf("it serves %d models (%s): choose one with --served-model", len(ids), clip(strings.Join(ids, ", ")))
	case len(ids) > 0 && !slices.Contains(ids, t.o.Model):
		return fmt.Errorf("it serves no model %q: it has %s", t.o.Model, clip(strings.Join(ids, ", ")))
	}
	if t.o.Dialect == "" {
		t.dialect = dialectOwning(owner)
		return nil
	}
	t.dialect, err = DialectOf(t.o.Dialect)
	return err
}

// Identity is what the server says of itself, and the model's digests where its
// folder is known.
func (t *Target) Identity(ctx context.Context) (result.Identity, error) {
	id := result.Identity{
		Build: unknown, Engine: t.dialect.Name, DType: unknown,
		TokenizerDigest: t.o.TokenizerDigest,
	}
	if t.o.ModelDigest != nil {
		var err error
		if id.ModelDigest, err = t.o.ModelDigest(); err != nil {
			return id, fmt.Errorf("identify the server's model: %w", err)
		}
	}
	if id.ModelDigest == "" {
		id.ModelDigest = "served:" + t.o.Model
	}
	if t.dialect.version == "" {
		return id, nil
	}
	var says map[string]any
	if err := t.get(ctx, t.dialect.version, &says); err != nil {
		var status *StatusError
		if errors.As(err, &status) {
			return id, nil // it doesn't say
		}
		return id, fmt.Errorf("identify the server at %s: %w", t.base, err)
	}
	if v, ok := says[t.dialect.versionIn].(string); ok && v != "" {
		id.Build = clip(v)
	}
	return id, nil
}

// get asks the server about itself.
func (t *Target) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+path, nil)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	t.authorise(req)
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, plain(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %w", path, refused(resp, resp.Body))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxEventBytes))
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, plain(err))
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("GET %s: the answer is no JSON: is this the address of the API? it begins: %s", path, clip(string(b[:min(len(b), 400)])))
	}
	return nil
}
