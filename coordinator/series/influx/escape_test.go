package influx

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/paceline/paceline/coordinator/series"
)

// unquote reads a Flux string literal by its grammar: no interpolation, only byte
// escapes; ok is false for anything else.
func unquote(lit string) (s string, ok bool) {
	body, ok := strings.CutPrefix(lit, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for {
		switch {
		case body == `"`:
			return b.String(), true
		case body == "" || body[0] == '"' || body[0] == '$' || body[0] == '\n':
			return "", false
		case body[0] == '\\':
			if len(body) < 4 || body[1] != 'x' {
				return "", false
			}
			c, err := hex.DecodeString(body[2:4])
			if err != nil {
				return "", false
			}
			b.Write(c)
			body = body[4:]
		default:
			b.WriteByte(body[0])
			body = body[1:]
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "ci", `"`, `\`, `${r._value}`, `$`, "a\nb", `") |> drop(columns: ["x"])`, "ü\x00\x7f", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lit := quote(s)
		got, ok := unquote(lit)
		if !ok || got != s {
			t.Errorf("quote(%q) is %s, which reads as %q, %v", s, lit, got, ok)
		}
		// A whole query has the name once and its own text otherwise.
		if checkName("series", s) != nil {
			return
		}
		st := &Store{cfg: Config{Bucket: "b"}}
		q, err := st.trendQuery(series.Query{Series: s})
		if err != nil {
			t.Fatal(err)
		}
		plain, err := st.trendQuery(series.Query{Series: "N"})
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Replace(plain, `"N"`, lit, 1); q != want {
			t.Errorf("query is\n%s\nwant\n%s", q, want)
		}
	})
}

func TestCheckName(t *testing.T) {
	for _, s := range []string{`a\`, "a\nb", "\x00", "\xff", strings.Repeat("x", maxName+1), "a\u2028b"} {
		if err := checkName("suite", s); !errors.Is(err, series.ErrName) {
			t.Errorf("%q: %v, want ErrName", s, err)
		}
	}
	for _, s := range []string{"", "ci", `a "b", c=d`, "ü", strings.Repeat("x", maxName)} {
		if err := checkName("suite", s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	got, err := ParseAddress("influx://127.0.0.1:8086/my%20org/paceline")
	want := Config{URL: "http://127.0.0.1:8086", Org: "my org", Bucket: "paceline"}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err = ParseAddress("influxs://db/o/b"); err != nil || got.URL != "https://db" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "http://x/o/b", "influx://x/o", "influx:///o/b", "influx://secret@x/o/b", "influx://x/o/b/c", "influx://x/o/b?token=secret"} {
		_, err := ParseAddress(bad)
		if err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("influx://127.0.0.1:8086/org/bucket")
	f.Add("influxs://[::1]:1/o/b")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseAddress(s)
		if err == nil && (c.Org == "" || c.Bucket == "" || c.URL == "") {
			t.Errorf("%q gives %+v", s, c)
		}
	})
}
