//go:build real

package influx

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	influxdb "github.com/influxdata/influxdb-client-go/v2"

	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/coordinator/series/seriestest"
)

// binary is the influxd to test with: $PACELINE_INFLUXD, or what build/influxd.sh
// leaves in the cache.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PACELINE_INFLUXD")
	if path == "" {
		cache := os.Getenv("PACELINE_CACHE")
		if cache == "" {
			dir, err := os.UserCacheDir()
			if err != nil {
				t.Fatal(err)
			}
			cache = filepath.Join(dir, "paceline")
		}
		path = filepath.Join(cache, "influxd", "v2.9.1", "influxd")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no influxd at %s: run make influxd, or set PACELINE_INFLUXD", path)
	}
	return path
}

// server starts an influxd of its own and gives its address and token.
func server(t *testing.T) (string, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary(t), "--bolt-path", filepath.Join(dir, "i.bolt"), "--engine-path", filepath.Join(dir, "engine"),
		"--sqlite-path", filepath.Join(dir, "i.sqlite"), "--http-bind-address", addr, "--reporting-disabled", "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
	})
	url := "http://" + addr
	deadline := time.Now().Add(time.Minute)
	for {
		r, err := http.Get(url + "/health")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			b, _ := os.ReadFile(log.Name())
			t.Fatalf("influxd isn't up: %v\n%s", err, b)
		}
		time.Sleep(50 * time.Millisecond) // between looks at a foreign process
	}
	c := influxdb.NewClient(url, "")
	defer c.Close()
	const token = "a token for this test only"
	if _, err := c.SetupWithToken(t.Context(), "me", "password of this test", "paceline", "first", 0, token); err != nil {
		t.Fatal(err)
	}
	return url, token
}

func TestRealConformance(t *testing.T) {
	url, token := server(t)
	admin := influxdb.NewClient(url, token)
	t.Cleanup(admin.Close)
	org, err := admin.OrganizationsAPI().FindOrganizationByName(t.Context(), "paceline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	bucket := func(t *testing.T) *Store {
		t.Helper()
		n++
		name := fmt.Sprintf("b%d ${x}", n)
		if _, err := admin.BucketsAPI().CreateBucketWithName(t.Context(), org, name); err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{URL: url, Org: "paceline", Bucket: name, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	seriestest.Run(t, func(t *testing.T, rounds []seriestest.Round) series.Reader {
		l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), seriestest.Clock())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		points := seriestest.Store(t, t.Context(), l, rounds)
		s := bucket(t)
		for range 2 { // writing again changes nothing
			if err := s.Write(t.Context(), points); err != nil {
				t.Fatal(err)
			}
		}
		return s
	})
	t.Run("write rate", func(t *testing.T) { rate(t, bucket(t)) })
}

// rate writes many points and reads one trend; it reports what it took.
func rate(t *testing.T, s *Store) {
	const seriesN, each, group = 200, 500, 5000
	var batch []series.Point
	start := time.Now()
	for i := range seriesN * each {
		p := point()
		p.Series = fmt.Sprintf("s%d", i%seriesN)
		p.At = time.Unix(1_700_000_000+int64(i/seriesN), int64(i%seriesN))
		p.Value = float64(i)
		if batch = append(batch, p); len(batch) == group {
			if err := s.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	took := time.Since(start)
	start = time.Now()
	ps, err := s.Trend(context.Background(), series.Query{Series: "s7"})
	if err != nil || len(ps) != each {
		t.Fatalf("%d points, %v; want %d", len(ps), err, each)
	}
	t.Logf("wrote %d points at %.0f a second; read a trend of %d in %s", seriesN*each, float64(seriesN*each)/took.Seconds(), each, time.Since(start))
}

func TestRealErrors(t *testing.T) {
	url, token := server(t)
	for name, cfg := range map[string]Config{
		"wrong token":  {URL: url, Org: "paceline", Bucket: "first", Token: "wrong"},
		"wrong bucket": {URL: url, Org: "paceline", Bucket: "none", Token: token},
	} {
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), []series.Point{point()}); err == nil {
			t.Errorf("%s: written", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
		s.Close()
	}
}
