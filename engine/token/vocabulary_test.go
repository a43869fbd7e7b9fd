package token

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseVocabulary(t *testing.T) {
	v, err := parseVocabulary([]byte(smallTokenizer))
	if err != nil {
		t.Fatal(err)
	}
	if v.size != 6 {
		t.Errorf("size %d, want 6: the highest id is 5", v.size)
	}
	tok := &Tokenizer{vocab: v}
	for id, want := range map[int32][2]bool{-1: {true, true}, 0: {false, false}, 2: {false, true}, 3: {true, true}, 5: {false, false}, 6: {true, true}, 1 << 30: {true, true}} {
		if got := [2]bool{tok.Silent(id, false), tok.Silent(id, true)}; got != want {
			t.Errorf("Silent(%d) = %v without and with special tokens skipped, want %v", id, got, want)
		}
	}
	if id, ok := tok.SpecialID("<|end|>"); id != 2 || !ok || !tok.IsSpecial(2) || tok.IsSpecial(5) {
		t.Errorf("<|end|> = %d, %v; special 2: %v, 5: %v", id, ok, tok.IsSpecial(2), tok.IsSpecial(5))
	}
}

func TestParseVocabularyReadsUnigramLists(t *testing.T) {
	v, err := parseVocabulary([]byte(`{"model":{"vocab":[["<unk>",0.0],["▁a",-1.5],["b",-2]]}}`))
	if err != nil || v.size != 3 || v.ids["b"] != 2 {
		t.Errorf("got %+v, %v; want three tokens, b the last", v, err)
	}
}

func TestParseVocabularyRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"not JSON", "{", "not a tokenizer.json"},
		{"nothing", "{}", "no tokens"},
		{"a negative id", `{"model":{"vocab":{"a":-1}}}`, "the id -1"},
		{"an id too large", `{"added_tokens":[{"id":99999999,"content":"a"}]}`, "the id 99999999"},
		{"an id that is no number", `{"model":{"vocab":{"a":"b"}}}`, "model.vocab"},
		{"a list of nothing", `{"model":{"vocab":[[]]}}`, "entry 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseVocabulary([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestVerifyNamesBothNumbers(t *testing.T) {
	v, err := parseVocabulary([]byte(smallTokenizer))
	if err != nil {
		t.Fatal(err)
	}
	tok := &Tokenizer{vocab: v}
	for _, size := range []int{6, 7, 151936} {
		if err := tok.Verify(size); err != nil {
			t.Errorf("Verify(%d): %v, want none", size, err)
		}
	}
	err = tok.Verify(5)
	if err == nil || !strings.Contains(err.Error(), "ids up to 5") || !strings.Contains(err.Error(), "5 entries (ids up to 4)") {
		t.Errorf("Verify(5) = %v, want an error that names the ids up to 5 and the 5 entries", err)
	}
}

func TestTruncationAndPaddingAreDropped(t *testing.T) {
	data, err := os.ReadFile("testdata/bytelevel/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVocabulary(data)
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]any
	if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal(v.source, &after)); err != nil {
		t.Fatal(err)
	}
	if before["truncation"] == nil || before["padding"] == nil {
		t.Fatal("the test's tokenizer.json has no truncation or no padding")
	}
	if after["truncation"] != nil || after["padding"] != nil || after["model"] == nil {
		t.Errorf("the library gets truncation %v, padding %v, model %v", after["truncation"], after["padding"], after["model"] != nil)
	}
}

// echo is a codec whose ids are bytes.
type echo struct{ got [][]int32 }

func (e *echo) encode(text string, _ bool) ([]int32, error) {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids, nil
}

func (e *echo) decode(ids []int32, _ bool) (string, error) {
	e.got = append(e.got, slices.Clone(ids))
	var b []byte
	for _, id := range ids {
		if id == 0 {
			return "", errors.New("a NUL reached the library")
		}
		b = append(b, byte(id))
	}
	return string(b), nil
}

func (e *echo) close() error { return nil }

func TestDecodeGivesNULsThatTheLibraryCannot(t *testing.T) {
	v, err := parseVocabulary([]byte(`{"decoder":{"type":"ByteLevel"},"model":{"vocab":{"Ā":0,"ā":1,"Ă":2,"a":97,"aĀĀ":120}}}`))
	if err != nil {
		t.Fatal(err)
	}
	tok := &Tokenizer{vocab: v, codec: &echo{}}
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{[]int32{97, 0, 97}, "a\x00a"},
		{[]int32{0}, "\x00"},
		{[]int32{120, 1, 2, 0}, "a\x00\x00\x01\x02\x00"},
		{[]int32{97, 1}, "a\x01"},
		{nil, ""},
	} {
		if got, err := tok.Decode(c.ids, false); err != nil || got != c.want {
			t.Errorf("Decode(%v) = %q, %v; want %q", c.ids, got, err, c.want)
		}
	}
}

func TestOpenReadsTheFolder(t *testing.T) {
	load := func([]byte) (codec, error) { return &echo{}, nil }
	tok, err := open("testdata/bytelevel", load)
	if err != nil {
		t.Fatal(err)
	}
	if len(tok.Digest()) != 64 || len(tok.Config().EOS) != 1 || tok.VocabSize() < 300 {
		t.Errorf("digest %q, EOS %v, size %d", tok.Digest(), tok.Config().EOS, tok.VocabSize())
	}
	if ids, err := tok.Encode("", true); err != nil || ids == nil {
		t.Errorf("Encode of nothing = %v, %v; want a slice that isn't nil", ids, err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no tokenizer.json", nil, "a model folder needs a tokenizer.json"},
		{"a broken tokenizer.json", map[string]string{"tokenizer.json": "{"}, "not a tokenizer.json"},
		{"a broken configuration", map[string]string{"tokenizer.json": smallTokenizer, "config.json": "{"}, "config.json"},
		{"a broken template", map[string]string{"tokenizer.json": smallTokenizer, "chat_template.jinja": "{% if %}"}, "read the chat template"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeFiles(t, c.files)
			_, err := open(dir, load)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Base(dir)) {
				t.Errorf("got error %v, want one with %q and the folder", err, c.want)
			}
		})
	}
}

func FuzzParseVocabulary(f *testing.F) {
	f.Add([]byte(smallTokenizer))
	f.Add([]byte(`{"truncation":{},"decoder":{"type":"ByteLevel"},"model":{"vocab":[["Ā",0],["ā",0]]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseVocabulary(data)
		if err != nil {
			return
		}
		if v.size < 1 || v.size > maxID+1 || len(v.known) != v.size || !v.known[v.size-1] {
			t.Errorf("size %d, %d known", v.size, len(v.known))
		}
		for text, id := range v.ids {
			if id < 0 || int(id) >= v.size {
				t.Errorf("token %q has the id %d of %d", text, id, v.size)
			}
		}
	})
}
