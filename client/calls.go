package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
)

// Health asks whether the coordinator can work. One that answers that it can't is no
// error: Ready is false, and Ledger says why.
func (c *Client) Health(ctx context.Context) (Health, error) {
	h, err := call[Health](ctx, c, http.MethodGet, "/health", nil, nil)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusServiceUnavailable && json.Unmarshal(e.body, &h) == nil && h.API > 0 {
		return h, nil
	}
	return h, err
}

// Submit asks for a run. It is sent once: after ErrUnreachable, look at Runs before
// asking again.
func (c *Client) Submit(ctx context.Context, s Submission) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, "/runs", nil, s)
}

// Run reads a run with its attempts.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return call[Run](ctx, c, http.MethodGet, "/runs/"+url.PathEscape(id), nil, nil)
}

// Runs lists runs, newest first, without attempts and the text of their suites.
func (c *Client) Runs(ctx context.Context, q RunQuery) (RunList, error) {
	v := url.Values{}
	set(v, "project", q.Project)
	set(v, "suite", q.Suite)
	set(v, "branch", q.Branch)
	set(v, "commit", q.Commit)
	set(v, "lane", string(q.Lane))
	set(v, "state", strings.Join(q.States, ","))
	setInt(v, "cursor", q.Cursor)
	setInt(v, "limit", int64(q.Limit))
	return call[RunList](ctx, c, http.MethodGet, "/runs", v, nil)
}

// Cancel ends a run; repeating it is harmless. IsConflict: it was decided before.
func (c *Client) Cancel(ctx context.Context, id, reason string) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, "/runs/"+url.PathEscape(id)+"/cancel", nil, struct {
		Reason string `json:"reason,omitempty"`
	}{reason})
}

// Report reads the report of a run's verdict; while it isn't decided, what stands so
// far.
func (c *Client) Report(ctx context.Context, id string) (format.Report, error) {
	return call[format.Report](ctx, c, http.MethodGet, "/runs/"+url.PathEscape(id)+"/report", nil, nil)
}

// Result reads a run's result file, without samples.
func (c *Client) Result(ctx context.Context, id string) (*result.Document, error) {
	resp, err := c.send(ctx, http.MethodGet, "/runs/"+url.PathEscape(id)+"/result", nil, nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	doc, err := result.Decode(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the result of run %s: %w", id, err)
	}
	return doc, nil
}

// errEnough ends the reading of samples when its caller has had enough.
var errEnough = errors.New("enough")

// Samples reads every sample of a run as far as it is delivered, one by one. An error
// comes last, with a zero sample; leaving the loop ends the request.
func (c *Client) Samples(ctx context.Context, id string) iter.Seq2[result.Sample, error] {
	return func(yield func(result.Sample, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		resp, err := c.send(ctx, http.MethodGet, "/runs/"+url.PathEscape(id)+"/samples", nil, nil, nil)
		if err != nil {
			yield(result.Sample{}, err)
			return
		}
		defer resp.Body.Close()
		err = result.ReadSamples(resp.Body, func(s *result.Sample) error {
			if !yield(*s, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(result.Sample{}, fmt.Errorf("samples of run %s: %w", id, err))
		}
	}
}

// Series lists series by suite, workload and metric.
func (c *Client) Series(ctx context.Context, q SeriesQuery) (SeriesList, error) {
	v := url.Values{}
	set(v, "project", q.Project)
	set(v, "suite", q.Suite)
	set(v, "workload", q.Workload)
	set(v, "metric", q.Metric)
	set(v, "target", q.Target)
	setInt(v, "limit", int64(q.Limit))
	return call[SeriesList](ctx, c, http.MethodGet, "/series", v, nil)
}

// Values reads the trend of a series, named by the digest of its key.
func (c *Client) Values(ctx context.Context, digest string, q ValueQuery) (ValueList, error) {
	v := url.Values{}
	set(v, "branch", q.Branch)
	lanes := make([]string, len(q.Lanes))
	for i, l := range q.Lanes {
		lanes[i] = string(l)
	}
	set(v, "lane", strings.Join(lanes, ","))
	set(v, "run", q.Run)
	setTime(v, "from", q.From)
	setTime(v, "to", q.To)
	setInt(v, "limit", int64(q.Limit))
	return call[ValueList](ctx, c, http.MethodGet, "/series/"+url.PathEscape(digest)+"/values", v, nil)
}

// Agents lists agents by name.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	l, err := call[struct {
		Agents []Agent `json:"agents"`
	}](ctx, c, http.MethodGet, "/agents", nil, nil)
	return l.Agents, err
}

// Suites lists the suites that ship with the coordinator's program, without their text.
func (c *Client) Suites(ctx context.Context) ([]Suite, error) {
	l, err := call[struct {
		Suites []Suite `json:"suites"`
	}](ctx, c, http.MethodGet, "/suites", nil, nil)
	return l.Suites, err
}

// Suite reads a shipped suite with its text.
func (c *Client) Suite(ctx context.Context, name string) (Suite, error) {
	return call[Suite](ctx, c, http.MethodGet, "/suites/"+url.PathEscape(name), nil, nil)
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

func setInt(v url.Values, key string, n int64) {
	if n != 0 {
		v.Set(key, strconv.FormatInt(n, 10))
	}
}

func setTime(v url.Values, key string, t time.Time) {
	if !t.IsZero() {
		v.Set(key, t.UTC().Format(time.RFC3339Nano))
	}
}
