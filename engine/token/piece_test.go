//go:build native

package token

import (
	"strings"
	"testing"
)

// TestPiecesJoinedAreTheText: of the goldens of both kinds of vocabulary, and of the shipped model.
func TestPiecesJoinedAreTheText(t *testing.T) {
	join := func(tok *Tokenizer, ids []int32) string {
		var b strings.Builder
		for _, id := range ids {
			b.Write(tok.Piece(id))
		}
		return b.String()
	}
	for _, dir := range folders() {
		tok := openTest(t, "testdata/"+dir)
		g := readGoldens(t, "testdata/"+dir+"/goldens.json")
		for _, c := range g.Texts {
			want, err := tok.Decode(c.IDs, false)
			if err != nil {
				t.Fatal(err)
			}
			if got := join(tok, c.IDs); got != want && !(dir == "bytefallback" && strings.TrimPrefix(got, " ") == want) {
				t.Errorf("%s: the pieces of %q are %q, the text is %q", dir, c.Text, got, want)
			}
		}
		if tok.Piece(-1) != nil || tok.Piece(1<<30) != nil {
			t.Error("an id that isn't there has a piece")
		}
	}
	tok := openTest(t, modelFolder)
	for _, text := range []string{"Once upon a time", "naïve 🤖 \u00ad\x00 end", "<|im_start|>user\nhé<|im_end|>"} {
		ids, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := join(tok, ids); got != text {
			t.Errorf("%v: %q, want %q", ids, got, text)
		}
	}
}

func TestPieceOfAStrangeToken(t *testing.T) {
	v, err := parseVocabulary([]byte(`{"added_tokens":[{"id":3,"content":"Ġx","special":true}],"decoder":{"type":"ByteLevel"},` +
		`"model":{"vocab":{"Ġa":0,"日":1,"Ċ":2}}}`))
	if err != nil {
		t.Fatal(err)
	}
	tok := &Tokenizer{vocab: v}
	for id, want := range map[int32]string{0: " a", 1: "日", 2: "\n", 3: "Ġx", 4: ""} {
		if got := string(tok.Piece(id)); got != want {
			t.Errorf("id %d is %q, want %q", id, got, want)
		}
	}
}
