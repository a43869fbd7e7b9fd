package influx

import (
	"compress/gzip"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/coordinator/series"
)

func point() series.Point {
	return series.Point{
		Tags: series.Tags{Series: "d1", Suite: "ci", Workload: "a story, long", Metric: "output_rate", Target: "engine", GPU: "cpu", Precision: "bf16/f32", Lane: "base"},
		At:   time.Unix(1, 5), Value: 10, Spread: 0.5, N: 3, Valid: true, Branch: "main", Commit: `c"1`, Run: "r", Attempt: "r-a1", Round: "r-1", Build: "v1", Machine: "m",
	}
}

// fake is a server that answers writes and keeps the last one's lines.
func fake(t *testing.T, status int, header map[string]string) (*Store, *string) {
	t.Helper()
	lines := new(string)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err == nil {
			b, _ := io.ReadAll(z)
			*lines = string(b)
		}
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	s, err := New(Config{URL: srv.URL, Org: "o", Bucket: "b", Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, lines
}

func TestLines(t *testing.T) {
	s, lines := fake(t, http.StatusNoContent, nil)
	if err := s.Write(t.Context(), []series.Point{point()}); err != nil {
		t.Fatal(err)
	}
	want := `round,gpu=cpu,lane=base,metric=output_rate,precision=bf16/f32,series=d1,suite=ci,target=engine,workload=a\ story\,\ long ` +
		`attempt="r-a1",branch="main",build="v1",commit="c\"1",faults=false,machine="m",n=3i,round="r-1",run="r",spread=0.5,valid=true,value=10 1000000005` + "\n"
	if *lines != want {
		t.Errorf("wrote\n%s\nwant\n%s", *lines, want)
	}
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		want   error
		after  time.Duration
	}{
		{"busy with a time", 429, map[string]string{"Retry-After": "7"}, series.ErrUnavailable, 7 * time.Second},
		{"down", 503, nil, series.ErrUnavailable, 0},
		{"broken", 500, nil, series.ErrUnavailable, 0},
		{"bad point", 400, nil, series.ErrRejected, 0},
		{"unprocessable", 422, nil, series.ErrRejected, 0},
		{"too large", 413, nil, series.ErrRejected, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := fake(t, c.status, c.header)
			err := s.Write(t.Context(), []series.Point{point()})
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			var r *series.RetryError
			if errors.As(err, &r) != (c.after > 0) || (r != nil && r.After != c.after) {
				t.Errorf("%v, want to be told to wait %s", err, c.after)
			}
		})
	}
	t.Run("forbidden", func(t *testing.T) {
		s, _ := fake(t, 403, nil)
		if err := s.Write(t.Context(), []series.Point{point()}); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("%v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		srv := httptest.NewServer(nil)
		srv.Close()
		s, err := New(Config{URL: srv.URL, Org: "o", Bucket: "b"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Write(t.Context(), []series.Point{point()}); !errors.Is(err, series.ErrUnavailable) {
			t.Errorf("write: %v, want ErrUnavailable", err)
		}
		if _, err := s.Trend(t.Context(), series.Query{Series: "x"}); !errors.Is(err, series.ErrUnavailable) {
			t.Errorf("trend: %v, want ErrUnavailable", err)
		}
	})
	for name, change := range map[string]func(*series.Point){
		"no number":      func(p *series.Point) { p.Value = math.NaN() },
		"line break":     func(p *series.Point) { p.Workload = "a\nb" },
		"without series": func(p *series.Point) { p.Series = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s, lines := fake(t, http.StatusNoContent, nil)
			p := point()
			change(&p)
			if err := s.Write(t.Context(), []series.Point{p}); !errors.Is(err, series.ErrRejected) || *lines != "" {
				t.Errorf("%v after sending %q, want ErrRejected", err, *lines)
			}
		})
	}
}
