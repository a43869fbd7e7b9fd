//go:build native

package engine

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestLogProbsAreTheModels: whatever penalties and temperature did to a draw, what stands beside it
// is what Score says of the same text.
func TestLogProbsAreTheModels(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	r := Request{
		Prompt: question(t, e), MaxTokens: 24, IgnoreEOS: true, LogProbs: 5,
		Sampling:  backend.Sampling{Temperature: 1.5, Seed: 4},
		Penalties: sample.Penalties{Repetition: 1.3, Frequency: 0.5},
	}
	text := slices.Clone(r.Prompt)
	for i, ev := range submit(t, e, r) {
		if ev.Token < 0 {
			break
		}
		score, err := e.Score(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		want, of := sample.Top(nil, score.LastLogits, ev.Token, r.LogProbs)
		if ev.LogProbs == nil || math.Abs(float64(ev.LogProbs.Token-of)) > 1e-4 || len(ev.LogProbs.Top) != r.LogProbs {
			t.Fatalf("token %d: %+v, want %v", i, ev.LogProbs, of)
		}
		for k, l := range ev.LogProbs.Top {
			if l.ID != want[k].ID || math.Abs(float64(l.LogProb-want[k].LogProb)) > 1e-4 {
				t.Errorf("token %d, place %d: %+v, want %+v", i, k, l, want[k])
			}
		}
		text = append(text, ev.Token)
	}
	r.LogProbs = 0
	for _, ev := range submit(t, e, r) {
		if ev.LogProbs != nil {
			t.Fatal("nobody asked for log-probabilities")
		}
	}
}

// TestPenalisedGreedyIsTransformers: ids that transformers' generate gives for the shipped model in
// float32 (transformers 5.24.0, do_sample=False, with repetition_penalty and min_new_tokens).
func TestPenalisedGreedyIsTransformers(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	for name, c := range map[string]struct {
		p    sample.Penalties
		min  int
		want []int32
	}{
		"1.3": {sample.Penalties{Repetition: 1.3}, 0, []int32{
			867, 944, 256, 507, 11, 363, 423, 320, 358, 780, 434, 353, 256, 1296, 335, 1193, 296, 1792, 373, 256, 1457, 13, 375, 482,
			291, 1218, 1219, 13, 448, 493, 942, 473, 675, 388, 1703, 695, 13, 1449, 256, 1000, 952, 11, 295, 718, 363, 423, 865, 335,
			1714, 13, 375, 1467, 295, 463, 293, 670, 296, 606, 724, 333, 487, 13, 321, 1069, 957, 641, 342, 1951, 13, 375, 724, 526,
			13, 663, 1036, 284, 326, 782, 1360, 82, 13, 305, 969, 436, 1617, 666, 726, 468, 331, 780, 296, 32, 700, 358, 1070, 284,
			1259, 13, 305, 820, 1653, 284, 487, 256, 1654, 338, 331, 1102, 13, 618, 780, 477, 326, 11, 256, 548, 435, 356, 13, 374,
			774, 1667, 477, 551, 296, 594, 11, 491, 512, 11, 876, 284, 1128, 13, 523, 1058, 1939, 291, 316, 560, 13, 780, 443, 1699,
			1209, 295, 13, 321, 616, 709, 875, 284, 388, 1121, 13, 505, 885, 398, 587, 480,
		}},
		"1.1, at least 150": {sample.Penalties{Repetition: 1.1}, 150, []int32{
			867, 944, 256, 507, 11, 256, 320, 358, 780, 376, 256, 2018, 1455, 434, 353, 256, 1296, 335, 1193, 13, 663, 335, 493, 854,
			284, 256, 700, 358, 1102, 296, 410, 1685, 11, 480, 284, 256, 592, 759, 333, 263, 1820, 1831, 13, 1173, 482, 291, 848, 263,
			929, 849, 13, 780, 1507, 493, 1392, 326, 263, 901, 11, 892, 295, 628, 1610, 1211, 13, 305, 1454, 429, 342, 860, 1211, 338,
			1379, 597, 296, 1792, 1176, 416, 512, 291, 545, 13, 321, 942, 914, 263, 1002, 669, 13, 374, 994, 471, 475, 1914, 256, 66,
			1853, 263, 837, 13, 375, 482, 291, 644, 463, 13, 448, 1121, 331, 11, 305, 1018, 295, 1356, 801, 669, 13, 337, 1209, 353,
			398, 1172, 542, 263, 356, 335, 263, 759, 11, 780, 1131, 1056, 291, 263, 1376, 13, 375, 428, 333, 1097, 293, 593, 13, 1506,
			477, 564, 13, 321, 1380, 1548, 333, 1348, 263, 1415, 507, 296, 1792, 1358, 1664, 1668,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Prompt: question(t, e), MaxTokens: 160, MinTokens: c.min, Penalties: c.p}
			if got := ids(submit(t, e, r)); !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestPenaltiesAloneAndTogether holds greedy draws with each penalty against a naive loop
// over Score, first alone and then all at once with others between them.
func TestPenaltiesAloneAndTogether(t *testing.T) {
	e := robots(t, Options{MaxContext: 256, KVBytes: 10 << 20})
	prompt := question(t, e)
	all := []sample.Penalties{
		{},
		{Presence: 1.5},
		{Frequency: 0.6},
		{Presence: -4, Frequency: -1},
		{Bias: []sample.Bias{{ID: 300, Add: 5}, {ID: 11, Add: -100}}},
		{Repetition: 1.2, Presence: 0.5, Frequency: 0.3, Bias: []sample.Bias{{ID: 300, Add: 5}}},
	}
	request := func(p sample.Penalties) Request {
		return Request{Prompt: prompt, MaxTokens: 30, IgnoreEOS: true, Penalties: p}
	}
	var want [][]int32
	for _, p := range all {
		text := slices.Clone(prompt)
		for range 30 {
			score, err := e.Score(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, sample.Argmax(penalised(score.LastLogits, p, prompt, text[len(prompt):])))
		}
		want = append(want, text[len(prompt):])
		if got := ids(submit(t, e, request(p))); !slices.Equal(got, text[len(prompt):]) {
			t.Errorf("%+v: got %v, want %v", p, got, text[len(prompt):])
		}
	}
	for i := range want[1:] {
		if slices.Equal(want[0], want[i+1]) {
			t.Errorf("%+v changes nothing here: it tests nothing", all[i+1])
		}
	}
	var streams []*Stream
	for i := range 4 * len(all) {
		s, err := e.Submit(t.Context(), request(all[i%len(all)]))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i, s := range streams {
		if got := ids(read(t, s)); !slices.Equal(got, want[i%len(all)]) {
			t.Errorf("%+v together: got %v, want %v", all[i%len(all)], got, want[i%len(all)])
		}
	}
}

// penalised is the formulas, from the whole history.
func penalised(logits []float32, p sample.Penalties, prompt, generated []int32) []float32 {
	out := slices.Clone(logits)
	counts := map[int32]float64{}
	for _, id := range generated {
		counts[id]++
	}
	for i := range out {
		id, l := int32(i), float64(out[i])
		if p.Repetition != 0 && (counts[id] > 0 || slices.Contains(prompt, id)) {
			if l > 0 {
				l /= float64(p.Repetition)
			} else {
				l *= float64(p.Repetition)
			}
		}
		if c := counts[id]; c > 0 {
			l -= float64(p.Frequency)*c + float64(p.Presence)
		}
		for _, b := range p.Bias {
			if b.ID == id {
				l += float64(b.Add)
			}
		}
		out[i] = float32(l)
	}
	return out
}

// TestMinTokens: end ids are not drawn, and stop texts don't count, until there are enough tokens; then
// they do.
func TestMinTokens(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	prompt := question(t, e)
	free := submit(t, e, Request{Prompt: prompt, MaxTokens: 400})
	n := finish(free).OutputTokens
	if finish(free).Reason != FinishStop || n < 20 {
		t.Fatalf("the story ends by %s after %d tokens", finish(free).Reason, n)
	}
	longer := submit(t, e, Request{Prompt: prompt, MaxTokens: 400, MinTokens: n + 10})
	if f := finish(longer); f.OutputTokens <= n+10 && f.Reason == FinishStop {
		t.Errorf("it ended by %s after %d tokens, want more than %d", f.Reason, f.OutputTokens, n+10)
	}
	got := ids(longer)
	if !slices.Equal(got[:n-1], ids(free)[:n-1]) {
		t.Error("it began otherwise")
	}
	for _, id := range got[:n+10] {
		if slices.Contains(e.EOS(), id) {
			t.Errorf("the end token is among the first %d", n+10)
		}
	}
	// The first token as a stop token, and a text that comes early and again later.
	ends := submit(t, e, Request{Prompt: prompt, MaxTokens: 40, MinTokens: 5, StopTokens: ids(free)[:1], IgnoreEOS: true})
	if slices.Contains(ids(ends)[:5], ids(free)[0]) {
		t.Error("a stop token was drawn before its time")
	}
	stopped := submit(t, e, Request{Prompt: prompt, MaxTokens: 400, MinTokens: 12, Stop: []string{" the", "e"}})
	if f, said := finish(stopped), text(stopped); f.Reason != FinishStop || f.OutputTokens <= 12 || !strings.Contains(said, "e") || !strings.HasPrefix(text(free), said) {
		t.Errorf("ended by %s after %d tokens: %q", f.Reason, f.OutputTokens, said)
	}
}
