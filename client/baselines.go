package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/paceline/paceline/judge/baseline"
)

// Baselines lists every branch and suite that has a level, or rounds that wait for an
// acceptance.
func (c *Client) Baselines(ctx context.Context) ([]baseline.Summary, error) {
	l, err := call[struct {
		Baselines []baseline.Summary `json:"baselines"`
	}](ctx, c, http.MethodGet, "/baselines", nil, nil)
	return l.Baselines, err
}

// Baseline reads a level: each series with the rounds that make it, and what its gates
// could find.
func (c *Client) Baseline(ctx context.Context, w baseline.Which) (baseline.Shown, error) {
	return call[baseline.Shown](ctx, c, http.MethodGet, "/baselines/level", whichLevel(w), nil)
}

// AcceptBaseline makes what is pending on a branch its level. By is a claim.
func (c *Client) AcceptBaseline(ctx context.Context, a baseline.Acceptance) (baseline.Acceptance, error) {
	return call[baseline.Acceptance](ctx, c, http.MethodPost, "/baselines/accept", nil, struct {
		Project string `json:"project,omitempty"`
		Branch  string `json:"branch"`
		Suite   string `json:"suite,omitempty"`
		Reason  string `json:"reason"`
		By      string `json:"by,omitempty"`
	}{a.Project, a.Branch, a.Suite, a.Reason, a.By})
}

// pinAsked is a pin as it is asked for.
type pinAsked struct {
	Name    string   `json:"name"`
	Project string   `json:"project,omitempty"`
	Branch  string   `json:"branch,omitempty"`
	Suite   string   `json:"suite,omitempty"`
	Runs    []string `json:"runs,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	By      string   `json:"by,omitempty"`
}

// PinBaseline gives a level a name: that of the runs named, or of the branch as it is
// now. By is a claim.
func (c *Client) PinBaseline(ctx context.Context, p baseline.Pin) (baseline.Pin, error) {
	return call[baseline.Pin](ctx, c, http.MethodPost, "/baselines/pin", nil, pinAsked{p.Name, p.Project, p.Branch, p.Suite, p.Runs, p.Reason, p.By})
}

// UnpinBaseline removes a pinned level; its runs stay. By is a claim.
func (c *Client) UnpinBaseline(ctx context.Context, p baseline.Pin) error {
	resp, err := c.send(ctx, http.MethodPost, "/baselines/unpin", nil, pinAsked{Name: p.Name, Project: p.Project, Suite: p.Suite, Reason: p.Reason, By: p.By}, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// ExportBaseline reads a level as a file.
func (c *Client) ExportBaseline(ctx context.Context, w baseline.Which) (*baseline.File, error) {
	resp, err := c.send(ctx, http.MethodGet, "/baselines/file", whichLevel(w), nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, baseline.MaxFileBytes+1))
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	f, err := baseline.ReadFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("export the baseline: %w", err)
	}
	return f, nil
}

// ImportBaseline takes a file's runs into the coordinator's ledger, all or none. from
// is what the file is called; by is a claim.
func (c *Client) ImportBaseline(ctx context.Context, f *baseline.File, by, from string) (baseline.Imported, error) {
	var b bytes.Buffer
	if err := baseline.WriteFile(&b, f); err != nil {
		return baseline.Imported{}, err
	}
	v := url.Values{}
	set(v, "by", by)
	set(v, "from", from)
	return call[baseline.Imported](ctx, c, http.MethodPost, "/baselines/import", v, json.RawMessage(b.Bytes()))
}

func whichLevel(w baseline.Which) url.Values {
	v := url.Values{}
	set(v, "project", w.Project)
	set(v, "branch", w.Branch)
	set(v, "suite", w.Suite)
	return v
}
