//go:build native

package token

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/paceline/paceline/engine/model"
)

// openSynth opens the tokenizer of a synthetic model with Qwen2.5's vocabulary, or one of
// so many ids, and little else.
func openSynth(t testing.TB, vocab int) *Tokenizer {
	t.Helper()
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Layers, c.Heads, c.KVHeads, c.HeadDim = 2, 2, 1, 1, 1, 2
	if vocab != c.VocabSize && vocab != 0 {
		c.VocabSize, c.BOS, c.EOS = vocab, int32(vocab-3), []int32{int32(vocab - 3)}
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{}); err != nil {
		t.Fatal(err)
	}
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	if err := tok.Verify(c.VocabSize); err != nil || tok.VocabSize() != c.VocabSize {
		t.Fatalf("the tokenizer has %d ids, the model %d: %v", tok.VocabSize(), c.VocabSize, err)
	}
	return tok
}

// TestSynthCoversTheVocabulary: every id is some text, and every one whose bytes are whole
// characters is what that text is cut into.
func TestSynthCoversTheVocabulary(t *testing.T) {
	for _, vocab := range []int{151936, 512, 309} {
		tok := openSynth(t, vocab)
		pieces := 0
		for id := range int32(vocab) {
			text, err := tok.Decode([]int32{id}, false)
			if err != nil || text == "" {
				t.Fatalf("id %d of %d is the text %q, %v", id, vocab, text, err)
			}
			if strings.ContainsRune(text, utf8.RuneError) {
				pieces++
				continue
			}
			if back, err := tok.Encode(text, false); err != nil || len(back) != 1 || back[0] != id {
				t.Fatalf("id %d of %d is %q, which is cut into %d, %v", id, vocab, text, back, err)
			}
		}
		if pieces < 128 || pieces > 1000 { // the bytes above ASCII at least, and beginnings of characters
			t.Errorf("%d of %d ids are no whole characters", pieces, vocab)
		}
	}
}

func TestSynthSpecialTokens(t *testing.T) {
	tok := openSynth(t, 0)
	for text, want := range map[string]int32{ // as Qwen2.5's tokenizer has them
		"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<|vision_start|>": 151652, "<|video_pad|>": 151656,
	} {
		if id, ok := tok.SpecialID(text); !ok || id != want || !tok.IsSpecial(id) {
			t.Errorf("%s is %d, %v, want %d", text, id, ok, want)
		}
	}
	for text, want := range map[string]int32{"<tool_call>": 151657, "<|fim_prefix|>": 151659, "<|file_sep|>": 151664} {
		if ids, err := tok.Encode(text, true); err != nil || len(ids) != 1 || ids[0] != want || tok.IsSpecial(want) {
			t.Errorf("%s is %d, %v, want %d, shown as text", text, ids, err, want)
		}
	}
	chat, err := tok.Chat(Conversation{Messages: []Message{{Role: "user", Content: "Hi"}}, AddGenerationPrompt: true})
	if want := "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"; err != nil || chat != want {
		t.Errorf("a conversation is %q, %v, want %q", chat, err, want)
	}
	ids, err := tok.Encode(chat, false)
	if err != nil || ids[0] != 151644 || len(ids) != 9 {
		t.Errorf("the conversation is %d, %v, want 9 tokens", ids, err)
	}
}

// TestSynthCutsRealText: words become tokens, as with a real tokenizer.
func TestSynthCutsRealText(t *testing.T) {
	tok := openSynth(t, 0)
	for text, most := range map[string]int{
		"Write a short story about a robot.":                                           8,
		"Paceline measures how fast large language models run on a fleet of machines.": 18,
		"func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tprint(i)\n\t}\n}\n":           40,
		"今天天气很好,我们去公园散步吧。":                                                             16,
		"\n\n        return value\n":                                                   5,
		"internationalisation of extraordinary circumstances, Привет 😀 résumé 1234567": 50,
	} {
		ids, err := tok.Encode(text, false)
		if err != nil || len(ids) > most || len(ids) < 2 {
			t.Errorf("%q has %d tokens, %v, want at most %d", text, len(ids), err, most)
		}
	}
}

// TestSynthIdentity: decoding what was encoded gives any UTF-8 text back.
func TestSynthIdentity(t *testing.T) {
	tok := openSynth(t, 0)
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"robot", " the", "<|im_end|>", "\x00", "'s", "\r\n", "  ", "é", "e\u0301", "한국", "\U0001f469\u200d\U0001f680", "\u2028", "\ufeff"}
	for range 3000 {
		var b strings.Builder
		for range r.IntN(30) {
			switch r.IntN(4) {
			case 0:
				b.WriteByte(byte(r.IntN(128)))
			case 1:
				b.WriteString(words[r.IntN(len(words))])
			default:
				b.WriteRune(rune(r.IntN([]int{0x250, 0x3000, utf8.MaxRune}[r.IntN(3)])))
			}
		}
		comesBack(t, tok, b.String())
	}
}

func comesBack(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	ids, err := tok.Encode(text, false)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if back, err := tok.Decode(ids, false); err != nil || back != text {
		t.Fatalf("%q comes back as %q, %v", text, back, err)
	}
}

func FuzzSynthIdentity(f *testing.F) {
	tok := openSynth(f, 4096)
	for _, s := range []string{"", " a  b\n", "<|im_start|>user\n", "\x00\x01\x02", "don't", "\u0301", "١٢٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) {
			comesBack(t, tok, text)
		}
	})
}

// BenchmarkOpenSynth is the load time of a tokenizer of full size, apart from its making.
func BenchmarkOpenSynth(b *testing.B) {
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		b.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Layers, c.Heads, c.KVHeads, c.HeadDim = 2, 2, 1, 1, 1, 2
	dir := filepath.Join(b.TempDir(), "model")
	if err := model.SynthConfig(b.Context(), c, dir, model.SynthOptions{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		tok, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		tok.Close()
	}
}
