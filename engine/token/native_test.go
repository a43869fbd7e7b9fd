//go:build native

package token

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// goldens are what Python's tokenizers give; testdata/make_tokenizers.py writes them.
type goldens struct {
	Size  int `json:"size"`
	Texts []struct {
		Text    string  `json:"text"`
		IDs     []int32 `json:"ids"`
		Special []int32 `json:"special"`
	} `json:"texts"`
	Sequences []struct {
		IDs   []int32 `json:"ids"`
		Text  string  `json:"text"`
		Plain string  `json:"plain"`
	} `json:"sequences"`
}

func openTest(t *testing.T, dir string) *Tokenizer {
	t.Helper()
	tok, err := Open(dir)
	if err != nil {
		t.Fatalf("Open(%s): %v", dir, err)
	}
	t.Cleanup(func() {
		if err := tok.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return tok
}

func readGoldens(t *testing.T, path string) goldens {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g goldens
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return g
}

func folders() []string { return []string{"bytelevel", "bytefallback"} }

func TestIDsAndTextsEqualPythons(t *testing.T) {
	for _, name := range folders() {
		t.Run(name, func(t *testing.T) {
			tok := openTest(t, filepath.Join("testdata", name))
			g := readGoldens(t, filepath.Join("testdata", name, "goldens.json"))
			if tok.VocabSize() != g.Size {
				t.Errorf("VocabSize() = %d, want %d", tok.VocabSize(), g.Size)
			}
			for _, c := range g.Texts {
				for special, want := range map[bool][]int32{false: c.IDs, true: c.Special} {
					got, err := tok.Encode(c.Text, special)
					if err != nil || got == nil || !slices.Equal(got, want) {
						t.Errorf("Encode(%.60q, %v) = %v, %v; want %v", c.Text, special, got, err, want)
					}
				}
			}
			for _, c := range g.Sequences {
				for skip, want := range map[bool]string{false: c.Text, true: c.Plain} {
					if got, err := tok.Decode(c.IDs, skip); err != nil || got != want {
						t.Errorf("Decode(%v, %v) =\n     %q, %v\nwant %q", c.IDs, skip, got, err, want)
					}
				}
			}
		})
	}
}

func TestStreamOfATokenizerEqualsItsWholeText(t *testing.T) {
	tok := openTest(t, "testdata/bytelevel")
	rng := rand.New(rand.NewPCG(2, 71))
	for range 1500 {
		ids := make([]int32, 1+rng.IntN(100))
		for i := range ids {
			ids[i] = rng.Int32N(int32(tok.VocabSize()+4)) - 2
		}
		checkStream(t, tok, ids, rng.IntN(2) == 0)
	}
}

func TestStreamOfTextGivesItBack(t *testing.T) {
	for _, name := range folders() {
		t.Run(name, func(t *testing.T) {
			tok := openTest(t, filepath.Join("testdata", name))
			rng := rand.New(rand.NewPCG(1, 41))
			for range 500 {
				ids, err := tok.Encode(randomText(rng), false)
				if err != nil {
					t.Fatal(err)
				}
				checkStream(t, tok, ids, false)
			}
		})
	}
}

// randomText is valid UTF-8 of every plane, without the two characters that a
// decoder can't tell from its own marks: NUL and U+FFFD.
func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(60) {
		limit := []int{0x80, 0x800, 0x10000, 0x110000}[rng.IntN(4)]
		r := rune(1 + rng.IntN(limit-1))
		if r >= 0xD800 && r < 0xE000 || r == 0xFFFD {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestSettingsThatCutTextHaveNoEffect(t *testing.T) {
	data, err := os.ReadFile("testdata/bytelevel/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"max_length": 16`) {
		t.Fatal("the test's tokenizer.json has no truncation")
	}
	tok := openTest(t, "testdata/bytelevel")
	if ids, err := tok.Encode(strings.Repeat("1", 100), false); err != nil || len(ids) != 100 {
		t.Errorf("100 digits gave %d ids, %v; want 100", len(ids), err)
	}
	if ids, err := tok.Encode("1", false); err != nil || len(ids) != 1 {
		t.Errorf("one digit gave %d ids, %v; want 1", len(ids), err)
	}
}

func TestNULIsNotSilentlyCut(t *testing.T) {
	tok := openTest(t, "testdata/bytelevel")
	for _, text := range []string{"a\x00b", "\x00", "\x00\x01\x02\x00 robot\x00", "<|im_end|>\x00"} {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Errorf("Encode(%q): %v", text, err)
			continue
		}
		if got, err := tok.Decode(ids, false); err != nil || got != text {
			t.Errorf("Encode(%q) gave %v, the text %q, %v", text, ids, got, err)
		}
	}
	tok = openTest(t, "testdata/bytefallback")
	if ids, err := tok.Encode("a\x00b", false); err == nil || !strings.Contains(err.Error(), "byte 1 is a NUL") {
		t.Errorf("Encode of a NUL gave %v, error %v; want one that names byte 1", ids, err)
	}
}

func TestSpecialTokensAndChat(t *testing.T) {
	tok := openTest(t, "testdata/bytelevel")
	end, ok := tok.SpecialID("<|im_end|>")
	if !ok || !tok.IsSpecial(end) || !slices.Equal(tok.Config().EOS, []int32{end}) {
		t.Fatalf("<|im_end|> = %d, %v; EOS %v", end, ok, tok.Config().EOS)
	}
	text, err := tok.Chat(Conversation{Messages: []Message{{Role: "user", Content: "Tea?"}}, AddGenerationPrompt: true})
	want := "<|im_start|>user\nTea?<|im_end|>\n<|im_start|>assistant\n"
	if err != nil || text != want {
		t.Fatalf("Chat = %q, %v; want %q", text, err, want)
	}
	ids, err := tok.Encode(text, false)
	if err != nil || !slices.Contains(ids, end) {
		t.Errorf("the chat's ids %v, %v have no <|im_end|> (%d)", ids, err, end)
	}
	if _, err := openTest(t, "testdata/bytefallback").Chat(Conversation{}); !errors.Is(err, ErrNoChatTemplate) {
		t.Errorf("a model without a template gave error %v, want %v", err, ErrNoChatTemplate)
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"not JSON", "nonsense", "not a tokenizer.json"},
		{"no tokens", `{"model":{}}`, "no tokens"},
		{"refused by the library", `{"model":{"type":"BPE","vocab":{"a":0}}}`, "the tokenizer library refused it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open gave error %v, want one with %q and the path", err, c.want)
			}
		})
	}
}

func TestAClosedTokenizerSaysSo(t *testing.T) {
	tok := openTest(t, "testdata/bytelevel")
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for {
				ids, err := tok.Encode("The robot 🤖", false)
				if err == nil {
					_, err = tok.Decode(ids, true)
				}
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("got error %v, want none or %v", err, ErrClosed)
					return
				}
			}
		})
	}
	if err := tok.Close(); err != nil {
		t.Fatal(err)
	}
	users.Wait()
}
