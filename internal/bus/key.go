package bus

import (
	"fmt"

	"github.com/nats-io/nkeys"
)

// Key is an agent's own key pair (Ed25519, as NATS writes it). The coordinator gets
// the public half only, when the agent enrols.
type Key struct {
	Public string // starts with "U"
	Seed   string // secret; starts with "SU"
}

// NewKey makes a key pair from the system's randomness.
func NewKey() (Key, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return Key{}, fmt.Errorf("make a key pair: %w", err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return Key{}, fmt.Errorf("make a key pair: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return Key{}, fmt.Errorf("make a key pair: %w", err)
	}
	return Key{Public: public, Seed: string(seed)}, nil
}

// ValidPublic says whether a text is the public half of a key pair.
func ValidPublic(public string) bool { return nkeys.IsValidPublicUserKey(public) }

// signed says whether sig is the signature of nonce by the holder of the public key.
func signed(public string, nonce, sig []byte) bool {
	key, err := nkeys.FromPublicKey(public)
	return err == nil && key.Verify(nonce, sig) == nil
}
