//go:build !native

package token

// Open fails: this flavour of the program is built without the tokenizer library.
func Open(string) (*Tokenizer, error) { return nil, ErrNoEngine }
