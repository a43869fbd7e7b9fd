// Package influx keeps trends in InfluxDB 2: a copy that can be made again from the
// ledger, read by Flux.
//
// One point for each value of a round. Tags are the bounded sets of series.Tags;
// commit, run, attempt and build are fields, because a tag with a value for each
// commit makes a new series for each commit. Each field has one type for ever:
// value, spread float; n integer; valid, faults boolean; the rest strings. The time
// is the ledger's time of the round plus the value's index in it, so that writing
// again changes nothing. What to write when, and what to do when it fails, is
// coordinator/core's.
package influx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	influxdb "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"github.com/paceline/paceline/coordinator/series"
)

// Measurement holds the values of rounds.
const Measurement = "round"

// Config says where the bucket is.
type Config struct {
	URL     string // http://host:port or https://host:port
	Org     string
	Bucket  string
	Token   string
	Timeout time.Duration // of one request; 0: 10 s
}

// ParseAddress reads influx://HOST:PORT/ORG/BUCKET, or influxs:// for TLS. The token
// is never part of it, because addresses are printed.
func ParseAddress(s string) (Config, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Config{}, fmt.Errorf("read series address: %w", err)
	}
	scheme, ok := map[string]string{"influx": "http", "influxs": "https"}[u.Scheme]
	if !ok {
		return Config{}, fmt.Errorf("read series address %q: the scheme must be influx or influxs", u.Redacted())
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Config{}, fmt.Errorf("read series address %q: it holds more than host, organisation and bucket; give the token apart", u.Redacted())
	}
	org, bucket, ok := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if !ok || u.Host == "" || org == "" || bucket == "" || strings.Contains(bucket, "/") {
		return Config{}, fmt.Errorf("read series address %q: want influx://HOST:PORT/ORG/BUCKET", u.Redacted())
	}
	return Config{URL: scheme + "://" + u.Host, Org: org, Bucket: bucket}, nil
}

// Store implements series.Reader and series.Writer. Make it with New, end it with
// Close.
type Store struct {
	c       influxdb.Client
	cfg     Config
	timeout time.Duration
}

// New makes a store. It doesn't connect: the first call does.
func New(cfg Config) (*Store, error) {
	for what, s := range map[string]string{"organisation": cfg.Org, "bucket": cfg.Bucket} {
		if s == "" {
			return nil, fmt.Errorf("open InfluxDB at %s: no %s is given", cfg.URL, what)
		}
		if err := checkName(what, s); err != nil {
			return nil, fmt.Errorf("open InfluxDB at %s: %w", cfg.URL, err)
		}
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	o := influxdb.DefaultOptions().SetPrecision(time.Nanosecond).SetUseGZip(true).SetApplicationName("paceline").SetLogLevel(0)
	o.SetHTTPClient(&http.Client{Timeout: timeout, Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
	}})
	return &Store{c: influxdb.NewClientWithOptions(cfg.URL, cfg.Token, o), cfg: cfg, timeout: timeout}, nil
}

// Close drops the connections.
func (s *Store) Close() error {
	s.c.Close()
	s.c.Options().HTTPClient().CloseIdleConnections()
	return nil
}

// Write implements series.Writer.
func (s *Store) Write(ctx context.Context, ps []series.Point) error {
	if len(ps) == 0 {
		return nil
	}
	points := make([]*write.Point, len(ps))
	for i, p := range ps {
		var err error
		if points[i], err = encode(p); err != nil {
			return fmt.Errorf("write point %d of %d to InfluxDB: %w: %w", i+1, len(ps), series.ErrRejected, err)
		}
	}
	if err := s.c.WriteAPIBlocking(s.cfg.Org, s.cfg.Bucket).WritePoint(ctx, points...); err != nil {
		return fmt.Errorf("write %d points to InfluxDB: %w", len(ps), s.classify(err))
	}
	return nil
}

// encode makes the library's point, refusing what line protocol can't hold.
func encode(p series.Point) (*write.Point, error) {
	tags := map[string]string{}
	for _, t := range []struct{ k, v string }{
		{"project", p.Project},
		{"suite", p.Suite},
		{"workload", p.Workload},
		{"metric", p.Metric},
		{"target", p.Target},
		{"gpu", p.GPU},
		{"precision", p.Precision},
		{"lane", string(p.Lane)},
		{"series", p.Series},
	} {
		if err := checkName(t.k, t.v); err != nil {
			return nil, err
		}
		if t.v != "" { // line protocol has no empty tag
			tags[t.k] = t.v
		}
	}
	if p.Series == "" || p.Metric == "" || p.Lane == "" {
		return nil, fmt.Errorf("a point needs series, metric and lane: %w", series.ErrName)
	}
	for _, v := range []float64{p.Value, p.Spread} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v is not a number", v)
		}
	}
	return write.NewPoint(Measurement, tags, map[string]any{
		"value": p.Value, "spread": p.Spread, "n": int64(p.N), "valid": p.Valid, "faults": p.Faults,
		"branch": p.Branch, "commit": p.Commit, "run": p.Run, "attempt": p.Attempt, "round": p.Round, "build": p.Build, "machine": p.Machine,
	}, p.At), nil
}

// classify says what can be done about an error.
func (s *Store) classify(err error) error {
	var h *influxhttp.Error
	if !errors.As(err, &h) || h.StatusCode == 0 {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("%w: is InfluxDB up at %s? (%w)", series.ErrUnavailable, s.cfg.URL, err)
	}
	switch code := h.StatusCode; {
	case code == http.StatusTooManyRequests || code >= 500:
		err = fmt.Errorf("%w: %w", series.ErrUnavailable, err)
		if h.RetryAfter > 0 {
			return &series.RetryError{After: time.Duration(h.RetryAfter) * time.Second, Err: err}
		}
		return err
	case code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge || code == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", series.ErrRejected, err)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("the token may not use bucket %q of organisation %q: give another one (%w)", s.cfg.Bucket, s.cfg.Org, err)
	case code == http.StatusNotFound:
		return fmt.Errorf("there is no bucket %q in an organisation %q: make it, or correct the address (%w)", s.cfg.Bucket, s.cfg.Org, err)
	}
	return err
}
