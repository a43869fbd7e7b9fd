package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFramesComeBack(t *testing.T) {
	var buf bytes.Buffer
	want := []*Frame{
		{Hello: &Hello{Protocol: WorkerProtocol, Version: "v1", Targets: []string{"engine"}}},
		{Progress: &Progress{Run: "r", Round: 1, Done: 0.5}},
		{Error: &Error{Class: ClassSubject, Message: "it died"}},
	}
	for _, f := range want {
		if err := WriteFrame(&buf, f); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&buf)
	for i := range want {
		got, err := ReadFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[i], got); d != "" {
			t.Errorf("frame %d: %s", i, d)
		}
	}
	if _, err := ReadFrame(r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

func TestTornFrame(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteFrame(&buf, &Frame{Error: &Error{Message: "x"}}); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	for n := 1; n < len(whole); n++ {
		if _, err := ReadFrame(bufio.NewReader(bytes.NewReader(whole[:n]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d of %d: %v, want io.ErrUnexpectedEOF", n, len(whole), err)
		}
	}
}

func TestBodyComesBack(t *testing.T) {
	for _, want := range [][]json.RawMessage{nil, {[]byte(`{}`)}, {[]byte(`{"a":1}`), []byte(`[2]`), []byte(`"x"`)}} {
		body, err := EncodeBody(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeBody(body)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestDigestKnowsOrder(t *testing.T) {
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	one := Digest(map[string][][32]byte{"rounds": {a, b}})
	if two := Digest(map[string][][32]byte{"rounds": {b, a}}); one == two {
		t.Error("two orders, one digest")
	}
	if again := Digest(map[string][][32]byte{"rounds": {a, b}}); one != again {
		t.Error("one order, two digests")
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for range 4 {
			if _, err := ReadFrame(r); err != nil {
				return
			}
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	body, err := EncodeBody([]json.RawMessage{[]byte(`{"a":1}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := DecodeBody(b)
		if err != nil {
			return
		}
		again, err := EncodeBody(records)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeBody(again); err != nil {
			t.Fatal(err)
		}
	})
}
