package core

import (
	"encoding/hex"
	"fmt"
	"io"
)

// newID makes an id of 12 hexadecimal digits: short enough to say, and with 48 bits
// unlikely enough to meet itself; the ledger refuses one that exists.
func (c *Core) newID() (string, error) {
	var b [6]byte
	if _, err := io.ReadFull(c.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// attemptID names the n-th attempt of a run, 1….
func attemptID(run string, n int) string { return fmt.Sprintf("%s-a%d", run, n) }

// roundID names a round that its worker left without a name.
func roundID(attempt string, index int) string { return fmt.Sprintf("%s-r%d", attempt, index) }
