// Package sample defines how the engine draws a token from logits, so exactly that
// every backend draws the same token from equal logits, alone or in any batch.
//
// It works on one row of logits and knows nothing of sequences, pages or
// batches: engine/sched counts positions, the backends call Sampler.Token (or
// compute the same on a device) and testdata/golden.json holds vectors for
// implementations in other languages.
//
// # The definition
//
// All arithmetic but that of step 0 is IEEE 754 binary64, rounded to nearest even after each single
// operation: no fused multiply-add, no reassociation (in CUDA __dmul_rn, __dadd_rn,
// __ddiv_rn; in C -ffp-contract=off). Integers wrap.
//
//  0. Each of Edits' entries replaces the logit l of its id, in binary32, rounded to nearest even
//     after each operation, subnormal numbers kept (in CUDA __fdiv_rn, __fmul_rn, __fadd_rn
//     without -ftz): where Repeat is set, by l / Repetition if l > 0 and l · Repetition if not;
//     then, always, by that + Add. The row is as it was once the token is drawn: whatever else is
//     asked of it, log-probabilities too, is of the logits without edits.
//  1. A NaN logit counts as −Inf, −0 as +0. The order of ids is: greater logit
//     first, lower id first among equals.
//  2. Temperature not above 0 (or NaN): the first id of that order. Done. An
//     infinite temperature counts as the greatest finite binary32.
//  3. invT = 1 / float64(Temperature); z[i] = float64(logit[i]) · invT.
//  4. TopK > 0 keeps the first TopK ids of the order.
//  5. 0 < TopP < 1 keeps, of those, the shortest prefix of the order whose mass is
//     at least TopP of the mass of all of them. Masses are integers: w[i] =
//     floor(exp(z[i] − zmax) · 2^40), with w = 2^40 where z[i] = zmax (infinite
//     ones too) and 0 where z[i] − zmax < −28; exactly: the function mass. The prefix is long
//     enough when its sum of w is ≥ ceil(P·W / 2^32), P = floor(float64(TopP) · 2^32)
//     and W the sum over all ids kept by step 4. Integer sums don't depend on the order of
//     adding, so a device may add them as it likes.
//  6. Each kept id gets v[i] = z[i] + g(r[i]), where r[i] is 32 random bits (below) and
//     g(r) = −ln(−ln((r + 0.5) · 2^−32)), a Gumbel variate; ln is the function ln. The greatest v wins,
//     the lowest id among equals. This draws id i with probability softmax(z)[i] over
//     the kept ids (Gumbel 1954; the "Gumbel-max trick").
//
// r[i] is lane i mod 4 of Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel
// Random Numbers: As Easy as 1, 2, 3", SC 2011) with
//
//	key     = {low 32 bits of Seed, high 32 bits of Seed}
//	counter = {i div 4, low 32 bits of Position, high 32 bits of Position, 0}
//
// so a draw depends on (seed, position, token) only: never on the batch, the order of
// drawing or what was drawn before.
//
// # Where edits come from
//
// An Editor makes the edits of one sequence from its Penalties, which hold for greedy draws
// too. With c how often an id was generated so far:
//
//   - Repetition r, for ids of the prompt or generated: Repeat, with Edits' Repetition = r (Keskar
//     et al., "CTRL", 2019; as transformers and vLLM have it).
//   - Presence p and Frequency f, for generated ids only, and Bias b of the id: Add =
//     float32(b − (f·c + p)), in binary64 with each operation rounded, where c = 0 makes the
//     bracket 0 (OpenAI's "frequency and presence penalties").
//   - Forbid, while fewer than Until tokens were generated: Add = −Inf.
//
// # Log-probabilities
//
// Top gives ln softmax of the logits without edits, temperature or cuts, as vLLM does by default:
// what the model thinks, not what the request made of it. Unlike draws they aren't
// fixed to the last bit across backends.
//
// The package skips work that can't change the result (ids whose v can't reach the
// best one found), which other implementations may do in their own ways.
package sample
