// Package quality says how far a model's predictions lie from those of another, position by
// position on a fixed text: what quantising a model costs beside what it saves.
//
// It is pure: it gets logits from functions and knows no engine. Its neighbours:
// engine.Engine.Logits is such a function, `paceline model quantize` and `paceline model
// score --against` show the result.
package quality

import (
	"context"
	_ "embed" // the text
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/paceline/paceline/engine/sample"
)

//go:embed text.txt
var text string

// Text is the text on which models are compared: prose, numbers, code and a record, some 450
// words. It never changes, so that figures stay comparable.
func Text() string { return text }

// MaxIDs bounds how many ids are compared: the logits of one model are kept while the other's
// are computed, 4 bytes for each id of the vocabulary at each position.
const MaxIDs = 768

// IDs are n ids below vocab, always the same, for models without a tokenizer.
func IDs(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(0x7061636c, 0x696e65)) // fixed
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(int32(vocab))
	}
	return ids
}

// Logits computes ids and calls each with the logits after ids[0..i], for each i in its
// order. The slice holds for the call only. An error of each ends it.
type Logits func(ctx context.Context, ids []int32, each func(i int, logits []float32) error) error

// Report compares a model with a reference, over all positions. Logarithms are natural.
type Report struct {
	Positions int `json:"positions"` // ids that were computed

	// The Kullback-Leibler divergence of the model's prediction from the reference's, in
	// nats: Σ p·ln(p/q) over the vocabulary, p the reference's probabilities. 0 for equals.
	KLMean float64 `json:"kl_mean"`
	KLP99  float64 `json:"kl_p99"` // 99 % of positions have at most this
	KLMax  float64 `json:"kl_max"`

	TopOne float64 `json:"top_one"` // share of positions with the same likeliest id, 0 to 1

	// DeltaLogLik is how much likelier the model finds the text than the reference does,
	// as the mean of ln q − ln p over the ids after the first; negative is worse.
	DeltaLogLik         float64 `json:"delta_log_likelihood"`
	Perplexity          float64 `json:"perplexity"`           // exp of the mean of −ln q
	ReferencePerplexity float64 `json:"reference_perplexity"` // the same of p
	PerplexityRatio     float64 `json:"perplexity_ratio"`     // exp(−DeltaLogLik); above 1 is worse
}

// Reference is what a model predicts after each of some ids.
type Reference struct {
	ids       []int32
	positions [][]float32 // logits
}

// Record keeps what the model of l predicts: at least two ids, at most MaxIDs.
func Record(ctx context.Context, l Logits, ids []int32) (*Reference, error) {
	if len(ids) < 2 || len(ids) > MaxIDs {
		return nil, fmt.Errorf("record predictions: %d ids, want 2 to %d", len(ids), MaxIDs)
	}
	r := &Reference{ids: slices.Clone(ids)}
	err := l(ctx, r.ids, func(i int, logits []float32) error {
		if err := check(i, len(r.positions), logits); err != nil {
			return err
		}
		r.positions = append(r.positions, slices.Clone(logits))
		return nil
	})
	if err == nil && len(r.positions) != len(ids) {
		err = fmt.Errorf("%d positions for %d ids", len(r.positions), len(ids))
	}
	if err != nil {
		return nil, fmt.Errorf("record predictions: %w", err)
	}
	return r, nil
}

// check refuses what no prediction can be computed from.
func check(i, want int, logits []float32) error {
	if i != want {
		return fmt.Errorf("position %d came when %d was due", i, want)
	}
	for id, v := range logits {
		if v-v != 0 { // infinite, or not a number
			return fmt.Errorf("position %d: the logit of id %d is %v", i, id, v)
		}
	}
	if len(logits) == 0 {
		return errors.New("no logits")
	}
	return nil
}

// Compare computes the same ids by the model of l.
func (r *Reference) Compare(ctx context.Context, l Logits) (Report, error) {
	var divergences []float64
	var same int
	var logP, logQ float64
	err := l(ctx, r.ids, func(i int, q []float32) error {
		if err := check(i, len(divergences), q); err != nil {
			return err
		}
		p := r.positions[i]
		if len(p) != len(q) {
			return fmt.Errorf("a vocabulary of %d ids, the reference's has %d: these models can't be compared", len(q), len(p))
		}
		divergences = append(divergences, divergence(p, q))
		if sample.Argmax(p) == sample.Argmax(q) {
			same++
		}
		if i+1 < len(r.ids) {
			logP += sample.LogProb(p, r.ids[i+1])
			logQ += sample.LogProb(q, r.ids[i+1])
		}
		return nil
	})
	if err == nil && len(divergences) != len(r.ids) {
		err = fmt.Errorf("%d positions for %d ids", len(divergences), len(r.ids))
	}
	if err != nil {
		return Report{}, fmt.Errorf("compare predictions: %w", err)
	}
	n := float64(len(r.ids) - 1)
	return summarise(divergences, same, logP/n, logQ/n), nil
}

// divergence is Σ p·ln(p/q), ≥ 0.
func divergence(p, q []float32) float64 {
	zp, zq := sample.LogSumExp(p), sample.LogSumExp(q)
	sum := 0.0
	for i := range p {
		lp := float64(p[i]) - zp
		sum += math.Exp(lp) * (lp - (float64(q[i]) - zq))
	}
	return max(sum, 0) // rounding may leave −1e-17 of equals
}

// summarise makes the report from the divergence at each position, how many of them have the
// same likeliest id, and the mean log-likelihoods of reference and model.
func summarise(divergences []float64, same int, logP, logQ float64) Report {
	n := len(divergences)
	sum := 0.0
	for _, d := range divergences {
		sum += d
	}
	slices.Sort(divergences)
	return Report{
		Positions: n,
		KLMean:    sum / float64(n), KLP99: divergences[(99*n+99)/100-1], KLMax: divergences[n-1],
		TopOne:      float64(same) / float64(n),
		DeltaLogLik: logQ - logP, PerplexityRatio: math.Exp(logP - logQ),
		Perplexity: math.Exp(-logQ), ReferencePerplexity: math.Exp(-logP),
	}
}
