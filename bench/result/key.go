package result

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/paceline/paceline/bench/metric"
)

// Key is everything that makes two values comparable: if one field differs, they
// are different series. Attributes (build, commit, host, kernel,
// thresholds, trial counts, suite name) are never in it.
type Key struct {
	Cell       string    `json:"cell"` // digest of request, data, load, warm-up, window
	Model      string    `json:"model_digest"`
	Tokenizer  string    `json:"tokenizer_digest"`
	DType      string    `json:"dtype"`
	Target     string    `json:"target"`
	Flags      []string  `json:"flags,omitempty"`
	Hardware   Hardware  `json:"hardware"`
	Metric     metric.ID `json:"metric"`
	Definition int       `json:"definition_version"`
}

// Digest names the series: 32 hexadecimal digits of the SHA-256 of the key's JSON,
// whose field order is that of the type.
func (k Key) Digest() string {
	b, err := json.Marshal(k)
	if err != nil {
		panic("result: a key has only strings and integers: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// KeyOf is the key of one metric of one cell of a round of the subject.
func KeyOf(r *Round, s Subject, c *CellResult, id metric.ID) Key {
	def, _ := id.Def()
	return Key{
		Cell: c.Cell, Model: r.Subject.ModelDigest, Tokenizer: r.Subject.TokenizerDigest, DType: cmp.Or(c.DType, r.Subject.DType),
		Target: cmp.Or(c.Target, s.Target), Flags: s.Flags, Hardware: r.Environment.Hardware, Metric: id, Definition: def.Version,
	}
}
