//go:build native

package token

import (
	"errors"
	"fmt"
	"sync"

	"github.com/daulet/tokenizers"
)

// Open reads the tokenizer of a model folder. The caller closes it.
func Open(dir string) (*Tokenizer, error) { return open(dir, loadNative) }

// native is a codec over the Rust library. Its handle may be used by many
// goroutines at once, and must not be used once freed: mu is held for reading
// while it is used.
type native struct {
	mu sync.RWMutex
	tk *tokenizers.Tokenizer // nil once closed
}

func loadNative(tokenizerJSON []byte) (codec, error) {
	tk, err := tokenizers.FromBytes(tokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("the tokenizer library refused it: %w", err)
	}
	return &native{tk: tk}, nil
}

func (n *native) encode(text string, addSpecial bool) ([]int32, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.tk == nil {
		return nil, ErrClosed
	}
	// Without options it returns ids alone, and builds no string per token.
	enc, err := n.tk.EncodeWithOptionsErr(text, addSpecial)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, len(enc.IDs))
	for i, id := range enc.IDs {
		if id > maxID {
			return nil, fmt.Errorf("the tokenizer library gave the id %d, above %d", id, maxID)
		}
		ids[i] = int32(id)
	}
	return ids, nil
}

func (n *native) decode(ids []int32, skipSpecial bool) (string, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.tk == nil {
		return "", ErrClosed
	}
	unsigned := make([]uint32, len(ids))
	for i, id := range ids {
		unsigned[i] = uint32(id) // a negative id becomes one that no tokenizer knows
	}
	text, err := n.tk.DecodeErr(unsigned, skipSpecial)
	if err != nil {
		return "", errors.New("the tokenizer library could not decode them")
	}
	return text, nil
}

func (n *native) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tk == nil {
		return nil
	}
	err := n.tk.Close()
	n.tk = nil
	return err
}
