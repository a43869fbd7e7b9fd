package influx

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/api/query"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/series"
)

// beginning and end bound a range that the caller leaves open. InfluxDB's own default
// ends a range now, which cuts off points of a coordinator whose clock is ahead.
func beginning() time.Time { return time.Unix(0, 0) }
func end() time.Time       { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

// Trend implements series.Reader.
func (s *Store) Trend(ctx context.Context, q series.Query) ([]series.Point, error) {
	flux, err := s.trendQuery(q)
	if err != nil {
		return nil, fmt.Errorf("read the trend of series %s: %w", q.Series, err)
	}
	out, err := s.points(ctx, flux)
	if err != nil {
		return nil, fmt.Errorf("read the trend of series %s from InfluxDB: %w", q.Series, err)
	}
	slices.SortFunc(out, byTime)
	return out, nil
}

func (s *Store) trendQuery(q series.Query) (string, error) {
	if err := checkName("series", q.Series); err != nil {
		return "", err
	}
	var b strings.Builder
	s.from(&b, q.From, q.To)
	fmt.Fprintf(&b, "  |> filter(fn: (r) => r.series == %s)\n", quote(q.Series))
	if len(q.Lanes) > 0 {
		var or []string
		for _, l := range q.Lanes {
			if err := checkName("lane", string(l)); err != nil {
				return "", err
			}
			or = append(or, "r.lane == "+quote(string(l)))
		}
		fmt.Fprintf(&b, "  |> filter(fn: (r) => %s)\n", strings.Join(or, " or "))
	}
	limit := series.Bound(q.Limit, 1000, series.MaxLimit)
	fmt.Fprintf(&b, "  |> tail(n: %d)\n", limit) // of each lane and field: what the next lines need at most
	b.WriteString("  |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")\n  |> group()\n")
	fmt.Fprintf(&b, "  |> sort(columns: [\"_time\"])\n  |> tail(n: %d)\n", limit)
	return b.String(), nil
}

// List implements series.Reader.
func (s *Store) List(ctx context.Context, q series.ListQuery) ([]series.Summary, error) {
	flux, err := s.listQuery(q)
	if err != nil {
		return nil, fmt.Errorf("list series: %w", err)
	}
	points, err := s.points(ctx, flux)
	if err != nil {
		return nil, fmt.Errorf("list series from InfluxDB: %w", err)
	}
	bySeries := map[string][]series.Point{}
	for _, p := range points {
		bySeries[p.Series] = append(bySeries[p.Series], p)
	}
	var out []series.Summary
	for _, ps := range bySeries {
		slices.SortFunc(ps, byTime)
		out = append(out, series.Summarise(ps))
	}
	slices.SortFunc(out, func(a, b series.Summary) int {
		return cmp.Or(cmp.Compare(a.Tags.Suite, b.Tags.Suite), cmp.Compare(a.Tags.Workload, b.Tags.Workload),
			cmp.Compare(a.Tags.Metric, b.Tags.Metric), cmp.Compare(a.Tags.Series, b.Tags.Series))
	})
	return out[:min(len(out), series.Bound(q.Limit, 1000, series.MaxLimit))], nil
}

func (s *Store) listQuery(q series.ListQuery) (string, error) {
	var b strings.Builder
	s.from(&b, time.Time{}, time.Time{})
	for _, t := range []struct{ k, v string }{
		{"project", q.Project}, {"suite", q.Suite}, {"workload", q.Workload}, {"metric", q.Metric}, {"target", q.Target},
	} {
		if t.v == "" {
			continue
		}
		if err := checkName(t.k, t.v); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  |> filter(fn: (r) => r.%s == %s)\n", t.k, quote(t.v))
	}
	recent := series.Bound(q.Recent, 20, 200)
	fmt.Fprintf(&b, "  |> tail(n: %d)\n", recent)
	b.WriteString("  |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")\n  |> group(columns: [\"series\"])\n")
	fmt.Fprintf(&b, "  |> sort(columns: [\"_time\"])\n  |> tail(n: %d)\n", recent)
	return b.String(), nil
}

// from writes the beginning of every query.
func (s *Store) from(b *strings.Builder, from, to time.Time) {
	if from.IsZero() {
		from = beginning()
	}
	if to.IsZero() {
		to = end()
	}
	fmt.Fprintf(b, "from(bucket: %s)\n  |> range(start: %s, stop: %s)\n  |> filter(fn: (r) => r._measurement == %s)\n",
		quote(s.cfg.Bucket), from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano), quote(Measurement))
}

func byTime(a, b series.Point) int { return a.At.Compare(b.At) }

// points runs a query whose rows are pivoted points.
func (s *Store) points(ctx context.Context, flux string) ([]series.Point, error) {
	res, err := s.c.QueryAPI(s.cfg.Org).Query(ctx, flux)
	if err != nil {
		return nil, s.classify(err)
	}
	defer res.Close()
	var out []series.Point
	for res.Next() {
		p, err := decode(res.Record())
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if err := res.Err(); err != nil {
		return nil, s.classify(err)
	}
	return out, nil
}

// decode reads a pivoted row. A field of another type than ours is an error: the
// bucket is written by something else.
func decode(r *query.FluxRecord) (series.Point, error) {
	var p series.Point
	p.At = r.Time().UTC()
	var bad error
	str := func(k string) string {
		v, _ := field[string](r, k, &bad)
		return v
	}
	p.Tags = series.Tags{
		Series: str("series"), Project: str("project"), Suite: str("suite"), Workload: str("workload"), Metric: str("metric"),
		Target: str("target"), GPU: str("gpu"), Precision: str("precision"), Lane: result.Lane(str("lane")),
	}
	p.Branch, p.Commit, p.Run, p.Attempt, p.Round = str("branch"), str("commit"), str("run"), str("attempt"), str("round")
	p.Build, p.Machine = str("build"), str("machine")
	p.Value, _ = field[float64](r, "value", &bad)
	p.Spread, _ = field[float64](r, "spread", &bad)
	n, _ := field[int64](r, "n", &bad)
	p.N = int(n)
	p.Valid, _ = field[bool](r, "valid", &bad)
	p.Faults, _ = field[bool](r, "faults", &bad)
	return p, bad
}

// field reads a column; absent is the zero value.
func field[T any](r *query.FluxRecord, k string, bad *error) (v T, ok bool) {
	x := r.ValueByKey(k)
	if x == nil {
		return v, false
	}
	v, ok = x.(T)
	if !ok && *bad == nil {
		*bad = fmt.Errorf("column %s at %s is a %T, not a %T: does something else write to this bucket?", k, r.Time(), x, v)
	}
	return v, ok
}
