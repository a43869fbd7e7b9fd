package openai

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// pieces gives its parts one read at a time.
type pieces struct{ parts []string }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.parts[0])
	if p.parts[0] = p.parts[0][n:]; p.parts[0] == "" {
		p.parts = p.parts[1:]
	}
	return n, nil
}

// events reads a stream to its end: "name|data".
func events(t testing.TB, src io.Reader) ([]string, error) {
	t.Helper()
	var out []string
	in := newSSEReader(src, time.Now, nil)
	for {
		ev, err := in.next()
		if err != nil {
			return out, err
		}
		out = append(out, ev.Name+"|"+string(ev.Data))
	}
}

func TestSSE(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"one":                       {"data: a\n\n", []string{"|a"}},
		"several lines of data":     {"data: a\ndata: b\ndata\n\n", []string{"|a\nb\n"}},
		"CRLF, CR and LF":           {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", []string{"|a", "|b", "|c"}},
		"comments":                  {": hello\ndata: a\n: in between\n\n:\n\n", []string{"|a"}},
		"name, id and retry":        {"event: error\nid: 7\nretry: 1\ndata: a\n\n", []string{"error|a"}},
		"a name without data":       {"event: ping\n\ndata: a\n\n", []string{"|a"}},
		"one space goes, two don't": {"data:a\n\ndata: a\n\ndata:  a\n\n", []string{"|a", "|a", "| a"}},
		"empty data is an event":    {"data:\n\n", []string{"|"}},
		"byte order mark":           {"\xef\xbb\xbfdata: a\n\n", []string{"|a"}},
		"no empty line at the end":  {"data: a\n\ndata: [DONE]", []string{"|a", "|[DONE]"}},
		"colons in data":            {"data: {\"a\": \"b:c\"}\n\n", []string{"|{\"a\": \"b:c\"}"}},
		"nothing":                   {"", nil},
		"blank lines":               {"\n\n\r\n", nil},
	} {
		for how, src := range map[string]io.Reader{
			"at once":      strings.NewReader(c.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			got, err := events(t, src)
			if !errors.Is(err, io.EOF) || !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %q, %v; want %q", name, how, got, err, c.want)
			}
		}
	}
}

// TestSSEInstants: an event's instant is that of the read that completed its data, not
// of the empty line, and not of what was read later.
func TestSSEInstants(t *testing.T) {
	clock := time.Unix(0, 0)
	in := newSSEReader(&pieces{[]string{"data: a", "b\n", "\ndata: c\n\ndata: d\n\n", "data: e\n\n"}}, func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}, nil)
	var got []int64
	for {
		ev, err := in.next()
		if err != nil {
			break
		}
		got = append(got, ev.At.Unix())
	}
	if want := []int64{2, 3, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("instants %v, want %v", got, want)
	}
}

func TestSSELimits(t *testing.T) {
	long := io.MultiReader(strings.NewReader("data: "), io.LimitReader(zeros{}, 2*maxEventBytes))
	if _, err := events(t, long); !errors.Is(err, errTooLong) {
		t.Errorf("a line without end: %v", err)
	}
	line := "data: " + strings.Repeat("x", maxEventBytes/4) + "\n"
	if _, err := events(t, strings.NewReader(strings.Repeat(line, 5))); !errors.Is(err, errTooLong) {
		t.Errorf("an event without end: %v", err)
	}
	broken := errors.New("cable")
	if got, err := events(t, io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("a cut connection: %q, %v", got, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// FuzzSSE: however a stream is cut into reads, it has the same events.
func FuzzSSE(f *testing.F) {
	for _, s := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"ロ\"}}]}\n\ndata: [DONE]\n\n", "data: a\r\n\r\n", "\xef\xbb\xbfdata: a\r\rdata: b", ":\n\n", "event: x\ndata\n\n", "\xef\n\xbb",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		want, err := events(t, bytes.NewReader(b))
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		var parts []string
		for chunk := range slices.Chunk(b, max(size&15, 1)) {
			parts = append(parts, string(chunk))
		}
		got, err := events(t, &pieces{parts})
		if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
			t.Errorf("in pieces %q, %v; at once %q", got, err, want)
		}
	})
}
