package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tokenizerFile is the parts of a tokenizer.json that these tests look at.
type tokenizerFile struct {
	Model struct {
		Vocab  map[string]int
		Merges []string
	}
	Added []addedToken `json:"added_tokens"`
}

func makeTokenizer(t *testing.T, c Config, seed uint64) (tokenizerFile, []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := writeTokenizer(dir, c, seed); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file tokenizerFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file, data
}

// TestSynthTokenizer checks, for several sizes of vocabulary, that each id has a text of its
// own, that each merge makes a token, and where the special tokens are.
func TestSynthTokenizer(t *testing.T) {
	qwen, err := PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	tiny, err := PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	least, noEnd, larger := smallest(true), smallest(true), qwen
	least.VocabSize, least.EOS = 259, []int32{256}
	noEnd.EOS = nil
	larger.VocabSize = 152064 // as Qwen2.5-7B has it
	for name, tt := range map[string]struct {
		c        Config
		first    int // special token
		specials int
	}{
		"qwen2.5-0.5b": {qwen, 151643, 22},
		"tiny":         {tiny, 509, 3},
		"larger":       {larger, 151643, 22},
		"in between":   {smallest(true), 300, 3},
		"no end token": {noEnd, 317, 3},
		"bytes alone":  {least, 256, 3},
	} {
		t.Run(name, func(t *testing.T) {
			file, data := makeTokenizer(t, tt.c, 0)
			if len(data) > 10e6 {
				t.Errorf("tokenizer.json has %d bytes, want at most 10 MB", len(data))
			}
			texts := make([]string, tt.c.VocabSize)
			for text, id := range file.Model.Vocab {
				if id < 0 || id >= len(texts) || texts[id] != "" || text == "" {
					t.Fatalf("token %q has id %d, which is taken or outside", text, id)
				}
				texts[id] = text
			}
			if i := slices.Index(texts, ""); i >= 0 {
				t.Errorf("id %d has no text", i)
			}
			for i, a := range file.Added {
				if a.ID != tt.first+i || texts[a.ID] != a.Content || a.Special != (i < 14) {
					t.Errorf("special token %d is %+v, the vocabulary has %q there", i, a, texts[a.ID])
				}
			}
			if len(file.Added) != tt.specials || file.Added[2].Content != "<|im_end|>" {
				t.Errorf("special tokens %+v, want %d of them", file.Added, tt.specials)
			}
			for _, m := range file.Model.Merges {
				left, right, _ := strings.Cut(m, " ")
				for _, text := range []string{left, right, left + right} {
					if _, ok := file.Model.Vocab[text]; !ok {
						t.Fatalf("merge %q needs the token %q, which isn't there", m, text)
					}
				}
			}
			if got, least := len(file.Model.Merges), tt.c.VocabSize-256-tt.specials; got < least {
				t.Errorf("%d merges, want one for each of %d tokens at least", got, least)
			}
		})
	}
	c := smallest(true)
	c.VocabSize, c.EOS = 258, nil
	if err := writeTokenizer(t.TempDir(), c, 0); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("258 ids: got error %v, want that there is no room", err)
	}
}

// TestSynthTokenizerIsFixed: measurements made by different builds must be comparable, and
// the seed decides about invented words alone.
func TestSynthTokenizerIsFixed(t *testing.T) {
	c, err := PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	_, data := makeTokenizer(t, c, 0)
	sum := sha256.Sum256(data)
	if got, want := hex.EncodeToString(sum[:]), "d723853cc1e6013a81f32f89d619b66e88e2d6f0b328e9949254d56319176f70"; got != want {
		t.Errorf("SHA-256 %s, want %s: the synthetic tokenizer changed", got, want)
	}
	_, other := makeTokenizer(t, c, 1)
	if bytes.Equal(data, other) {
		t.Error("another seed gives the same tokenizer")
	}
	if n := 1 << 16; !bytes.Equal(data[:n], other[:n]) {
		t.Error("another seed changes what isn't invented")
	}
}

// TestLexiconIsReachable: all that was learnt is cut into itself, with everything learnt
// later in place.
func TestLexiconIsReachable(t *testing.T) {
	v := newBPE(60_000)
	for text := range lexicon(3) {
		if v.full() {
			break
		}
		v.learn(text)
	}
	for n, text := range v.tokens {
		if got := v.encode(text); len(got) != 1 || got[0] != int32(n) {
			t.Fatalf("token %d, %q, is cut into %d", n, text, got)
		}
	}
}

func TestByteAlphabet(t *testing.T) {
	for i, want := range map[int]string{'a': "a", ' ': "Ġ", '\n': "Ċ", 0: "Ā", 0xad: "Ń"} { // GPT-2's published table
		if got := string(byteAlphabet()[i]); got != want {
			t.Errorf("byte %#x is written %q, want %q", i, got, want)
		}
	}
}
