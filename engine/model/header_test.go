package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	const a = `"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}`
	many := func(n int) string {
		var b strings.Builder
		b.WriteString("{")
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, `"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
		}
		return b.String() + "}"
	}
	for _, c := range []struct {
		name, header string
		data         int64
		want         string // in the error; empty: sound
	}{
		{"one tensor", `{` + a + `}`, 12, ""},
		{"metadata and spaces", `{"__metadata__":{"format":"pt"},` + a + `}   `, 12, ""},
		{"scalar", `{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, ""},
		{"empty tensor before another", `{` + a + `,"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}}`, 12, ""},
		{"no tensors", `{}`, 0, ""},
		{"out of order", `{"b":{"dtype":"U8","shape":[1],"data_offsets":[12,13]},` + a + `}`, 13, ""},

		{"empty", ``, 0, "start with '{'"},
		{"array", `[1]`, 0, "start with '{'"},
		{"space first", ` {}`, 0, "start with '{'"},
		{"cut off", `{"a":{"dtype":"BF16"`, 0, "unexpected EOF"},
		{"not UTF-8", "{\"a\xff\":{}}", 0, "UTF-8"},
		{"second value", `{}{}`, 0, "after its JSON"},
		{"zero bytes after", "{}\x00", 0, "after its JSON"},
		{"name twice", `{` + a + `,` + a + `}`, 12, `"a" appears twice`},
		{"name twice by escape", `{` + a + `,"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[12,12]}}`, 12, `"a" appears twice`},
		{"key twice", `{"a":{"dtype":"BF16","dtype":"F32","shape":[2,3],"data_offsets":[0,12]}}`, 12, `"dtype" appears twice`},
		{"metadata key twice", `{"__metadata__":{"x":"1","x":"2"}}`, 0, `"x" appears twice`},
		{"metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, "appears twice"},
		{"metadata nested", `{"__metadata__":{"x":{"y":"z"}}}`, 0, "want a string"},
		{"unknown key", `{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12],"x":1}}`, 12, `unknown key "x"`},
		{"key of another case", `{"a":{"DTYPE":"BF16","shape":[2,3],"data_offsets":[0,12]}}`, 12, `unknown key "DTYPE"`},
		{"no dtype", `{"a":{"shape":[2,3],"data_offsets":[0,12]}}`, 12, "has no dtype"},
		{"no shape", `{"a":{"dtype":"BF16","data_offsets":[0,12]}}`, 12, "has no shape"},
		{"no offsets", `{"a":{"dtype":"BF16","shape":[2,3]}}`, 12, "has no data_offsets"},
		{"null shape", `{"a":{"dtype":"BF16","shape":null,"data_offsets":[0,12]}}`, 12, "found"},
		{"one offset", `{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0]}}`, 12, "has 1 numbers, want 2"},
		{"three offsets", `{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,1,2]}}`, 12, "more than 2 numbers"},
		{"negative", `{"a":{"dtype":"BF16","shape":[-2,3],"data_offsets":[0,12]}}`, 12, "want integers"},
		{"fraction", `{"a":{"dtype":"BF16","shape":[2.0,3],"data_offsets":[0,12]}}`, 12, "want integers"},
		{"exponent", `{"a":{"dtype":"BF16","shape":[2e0,3],"data_offsets":[0,12]}}`, 12, "want integers"},
		{"above 64 bits", `{"a":{"dtype":"BF16","shape":[99999999999999999999],"data_offsets":[0,12]}}`, 12, "want integers"},
		{"a string for a number", `{"a":{"dtype":"BF16","shape":["2",3],"data_offsets":[0,12]}}`, 12, "want integers"},
		{"a number for a type", `{"a":{"dtype":7,"shape":[2,3],"data_offsets":[0,12]}}`, 12, "want a string"},
		{"unknown type", `{"a":{"dtype":"BF17","shape":[2,3],"data_offsets":[0,12]}}`, 12, "unknown type"},
		{"rank 9", `{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}`, 1, "more than 8 numbers"},
		{"shape overflows", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,12]}}`, 12, "overflows"},
		{"shape wraps to zero", `{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,0]}}`, 0, "overflows"},
		{"too few bytes", `{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,12]}}`, 12, "needs 24 bytes, found 12"},
		{"beyond the file", `{` + a + `}`, 11, "holds bytes 0 to 11"},
		{"backwards", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[5,4]}}`, 9, "bytes 5 to 4"},
		{"overlap", `{` + a + `,"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}}`, 12, "inside the tensor before it"},
		{"overlap of one byte", `{` + a + `,"b":{"dtype":"U8","shape":[1],"data_offsets":[11,12]}}`, 12, "inside the tensor before it"},
		{"equal bytes", `{` + a + `,"b":{"dtype":"U8","shape":[12],"data_offsets":[0,12]}}`, 12, "inside the tensor before it"},
		{"hole", `{` + a + `,"b":{"dtype":"U8","shape":[4],"data_offsets":[16,20]}}`, 20, "hole after byte 12"},
		{"hole at the start", `{"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8, "hole after byte 0"},
		{"bytes left over", `{` + a + `}`, 20, "8 bytes follow"},
		{"a long name", `{"` + strings.Repeat("n", 1025) + `":{}}`, 0, "a name of 1025 bytes"},
		{"too many tensors", many(MaxTensors + 1), 0, "more than 100000 tensors"},
		{"deep", `{"a":{"dtype":` + strings.Repeat("[", 1000), 0, "want a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseHeader([]byte(c.header), c.data)
			checkError(t, err, ErrInvalid, c.want)
		})
	}
}

// checkError wants an error of a kind with a text in it, or none for an empty text.
func checkError(t *testing.T, err, kind error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want one with %q", err, want)
	case want != "" && !errors.Is(err, kind):
		t.Errorf("got error %v, which doesn't wrap %q", err, kind)
	}
}

func TestHeaderLength(t *testing.T) {
	for _, c := range []struct {
		name   string
		prefix []byte
		size   int64
		want   string
	}{
		{"sound", []byte{2, 0, 0, 0, 0, 0, 0, 0}, 10, ""},
		{"no bytes", nil, 0, "at least 8"},
		{"seven bytes", make([]byte, 7), 7, "at least 8"},
		{"one more than the file", []byte{3, 0, 0, 0, 0, 0, 0, 0}, 10, "the file has 2 after"},
		{"above the limit", []byte{1, 0, 0, 1, 0, 0, 0, 0}, 1 << 40, "the limit is 16777216"},
		{"negative as a signed number", []byte{0, 0, 0, 0, 0, 0, 0, 0x80}, 1 << 40, "the limit is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := headerLength(c.prefix, c.size)
			checkError(t, err, ErrInvalid, c.want)
		})
	}
}

// FuzzSafetensorsHeader: whatever a file holds, what is accepted lies inside it,
// covers it once and has the size that shape and type ask for.
func FuzzSafetensorsHeader(f *testing.F) {
	for _, header := range []string{
		`{}`, `{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}`,
		`{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}  `,
		`{"e":{"dtype":"I64","shape":[0,9223372036854775807],"data_offsets":[0,0]}}`,
		`{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"a":{}}`,
	} {
		f.Add(append(withLength(header), make([]byte, 12)...))
		f.Add(withLength(header))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		n, err := headerLength(file[:min(8, len(file))], int64(len(file)))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error %v doesn't wrap ErrInvalid", err)
			}
			return
		}
		data := file[8+n:]
		entries, err := parseHeader(file[8:8+n], int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error %v doesn't wrap ErrInvalid", err)
			}
			return
		}
		at, names := int64(0), map[string]bool{}
		for _, e := range entries {
			if e.begin != at || e.end < e.begin || names[e.name] {
				t.Fatalf("tensor %q has bytes %d to %d after byte %d (name seen: %v)", e.name, e.begin, e.end, at, names[e.name])
			}
			if got, want := int64(len(data[e.begin:e.end])), int64(Tensor{Shape: e.shape}.Len()*e.dtype.Size()); got != want {
				t.Fatalf("tensor %q of shape %v, %s has %d bytes, want %d", e.name, e.shape, e.dtype, got, want)
			}
			at, names[e.name] = e.end, true
		}
		if at != int64(len(data)) {
			t.Fatalf("tensors cover %d of %d bytes", at, len(data))
		}
	})
}
