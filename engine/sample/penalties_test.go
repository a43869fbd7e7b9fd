package sample

import (
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// naiveEdit computes the edited logits from the whole history, by the formulas of the papers and
// in one go. It may differ from the definition in the last bit of a logit.
func naiveEdit(logits []float32, p Penalties, prompt, generated, forbid []int32, until int) []float32 {
	out := slices.Clone(logits)
	for id := range out {
		inPrompt, times := slices.Contains(prompt, int32(id)), 0
		for _, g := range generated {
			if int(g) == id {
				times++
			}
		}
		l := float64(out[id])
		if r := float64(p.Repetition); r != 0 && (inPrompt || times > 0) {
			if l < 0 {
				l *= r
			} else {
				l /= r
			}
		}
		l -= float64(p.Frequency) * float64(times)
		if times > 0 {
			l -= float64(p.Presence)
		}
		for _, b := range p.Bias {
			if int(b.ID) == id {
				l += float64(b.Add)
			}
		}
		if len(generated) < until && slices.Contains(forbid, int32(id)) {
			l = math.Inf(-1)
		}
		out[id] = float32(l)
	}
	return out
}

// TestEditorAgreesWithANaiveImplementation grows random histories, with each mix of penalties, and
// holds every draw against the naive one.
func TestEditorAgreesWithANaiveImplementation(t *testing.T) {
	const vocab = 60
	var s Sampler
	for salt := range uint64(64) {
		on := func(bit uint64, v float32) float32 {
			if salt>>bit&1 == 1 {
				return v
			}
			return 0
		}
		p := Penalties{Repetition: on(0, 1.3), Presence: on(1, 0.7), Frequency: on(2, 0.45)}
		var forbid []int32
		if salt>>3&1 == 1 {
			p.Bias = []Bias{{ID: 7, Add: 1.5}, {ID: 3, Add: -2}, {ID: 20, Add: 0}}
		}
		if salt>>4&1 == 1 {
			forbid = []int32{7, 50, 7, 1}
		}
		var prompt, generated []int32
		for i := range int32(12) {
			prompt = append(prompt, int32(Bits(salt, 1, i)%vocab))
		}
		e := NewEditor(p, prompt, forbid, 9)
		if (e == nil) != (salt&31 == 0) {
			t.Fatalf("mix %d: an editor %v", salt, e)
		}
		for step := range uint64(40) {
			logits := make([]float32, vocab)
			for i := range logits {
				logits[i] = float32(int32(Bits(salt+1000, step, int32(i)))) / (1 << 29)
			}
			before := slices.Clone(logits)
			sampling := backend.Sampling{Seed: salt, Position: step, Edits: e.Edits()}
			if salt>>5 == 1 {
				sampling.Temperature, sampling.TopP = 0.9, 0.9
			}
			row := backend.Row{Tokens: []int32{0}, Sample: &sampling}
			if err := ValidateRow(&row, vocab); err != nil {
				t.Fatal(err)
			}
			got := s.Token(logits, sampling)
			if !slices.Equal(logits, before) {
				t.Fatal("the logits are not as they were")
			}
			plain := sampling
			plain.Edits = nil
			edited := naiveEdit(logits, p, prompt, generated, forbid, 9)
			if want := naiveToken(edited, plain); got != want {
				t.Fatalf("mix %d, step %d: got id %d, want %d", salt, step, got, want)
			}
			generated = append(generated, got)
			e.Drew(got)
		}
	}
}

// TestEditsEnd: once the least length is reached nothing is left to do.
func TestEditsEnd(t *testing.T) {
	e := NewEditor(Penalties{}, []int32{1, 2}, []int32{9, 8}, 2)
	for i, want := range []int{2, 2, 0, 0} {
		got := 0
		if edits := e.Edits(); edits != nil {
			got = len(edits.List)
		}
		if got != want {
			t.Errorf("after %d tokens %d edits, want %d", i, got, want)
		}
		e.Drew(5)
	}
	for name, e := range map[string]*Editor{
		"nothing":       NewEditor(Penalties{}, []int32{1}, nil, 5),
		"neutral":       NewEditor(Penalties{Repetition: 1}, []int32{1}, nil, 0),
		"no least":      NewEditor(Penalties{}, nil, []int32{1}, 0),
		"never made":    nil,
		"no end tokens": NewEditor(Penalties{}, nil, []int32{}, 3),
	} {
		if e.Drew(3); e != nil || e.Edits() != nil {
			t.Errorf("%s: there is an editor", name)
		}
	}
}

func TestEditHardLogits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	logits := []float32{nan, inf, -inf, 3, float32(math.Copysign(0, -1))}
	bits := func(l []float32) (out []uint32) {
		for _, v := range l {
			out = append(out, math.Float32bits(v))
		}
		return out
	}
	before := bits(logits)
	var s Sampler
	got := s.Token(logits, backend.Sampling{Edits: &backend.Edits{Repetition: 2, List: []backend.Edit{
		{ID: 0, Repeat: true, Add: 5}, {ID: 1, Add: -inf}, {ID: 2, Add: math.MaxFloat32}, {ID: 3, Repeat: true, Add: -2}, {ID: 4, Repeat: true},
	}}})
	if got != 4 {
		t.Errorf("got id %d, want 4: the others are NaN, forbidden, −Inf and −0.5", got)
	}
	if !slices.Equal(bits(logits), before) {
		t.Error("the logits have other bits than before")
	}
	e := NewEditor(Penalties{Frequency: -math.MaxFloat32}, nil, nil, 0)
	e.Drew(1)
	e.Drew(1)
	if add := e.Edits().List[0].Add; add != math.MaxFloat32 {
		t.Errorf("a sum beyond binary32 became %v", add)
	}
}

func TestEditedDrawsAllocateNothing(t *testing.T) {
	logits := goldenToken{Vocab: 5000, LogitSeed: 1, Scale: 8}.logits()
	e := NewEditor(Penalties{Repetition: 1.2, Frequency: 0.1}, []int32{1, 2, 3}, []int32{9}, 3)
	var s Sampler
	draw := func() {
		s.Token(logits, backend.Sampling{Temperature: 1, Edits: e.Edits()})
		e.Drew(7)
	}
	draw()
	if got := testing.AllocsPerRun(20, draw); got != 0 {
		t.Errorf("%v allocations a draw, want none", got)
	}
}

func TestPenaltiesAreValidated(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for says, p := range map[string]Penalties{
		"":                     {Repetition: 1.1, Presence: -2, Frequency: 2, Bias: []Bias{{ID: 9, Add: -100}}},
		"repetition":           {Repetition: -1},
		"repetition penalty N": {Repetition: nan},
		"repetition penalty +": {Repetition: inf},
		"presence":             {Presence: nan},
		"frequency":            {Frequency: inf},
		"of id 10":             {Bias: []Bias{{ID: 10}}},
		"of id -1":             {Bias: []Bias{{ID: -1}}},
		"two biases of id 3":   {Bias: []Bias{{ID: 3}, {ID: 3}}},
		"bias of id 3 is":      {Bias: []Bias{{ID: 3, Add: inf}}},
	} {
		err := p.Validate(10)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", p, err, says)
		}
	}
}

func TestRowsAreValidated(t *testing.T) {
	edits := func(r float32, list ...backend.Edit) *backend.Sampling {
		return &backend.Sampling{Edits: &backend.Edits{Repetition: r, List: list}}
	}
	for says, row := range map[string]backend.Row{
		"":              {Sample: edits(0, backend.Edit{ID: 0, Add: float32(math.Inf(-1))}, backend.Edit{ID: 9}), TopLogProbs: 20},
		"of id 10":      {Sample: edits(1, backend.Edit{ID: 10})},
		"of id -1":      {Sample: edits(1, backend.Edit{ID: -1})},
		"edit 1":        {Sample: edits(1, backend.Edit{ID: 3}, backend.Edit{ID: 3})},
		"repetition":    {Sample: edits(0, backend.Edit{ID: 3, Repeat: true})},
		"adds":          {Sample: edits(1, backend.Edit{ID: 3, Add: float32(math.Inf(1))})},
		"chained":       {Chained: true, Sample: edits(1)},
		"top_k":         {Sample: &backend.Sampling{TopK: -1}},
		"21 likeliest":  {Sample: &backend.Sampling{}, TopLogProbs: 21},
		"a token drawn": {TopLogProbs: 1},
	} {
		err := ValidateRow(&row, 10)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", row, err, says)
		}
	}
}

// TestTop holds Top against sorting everything.
func TestTop(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	rows := [][]float32{{1}, {nan, nan}, {-inf, nan, 2, 2, -inf}, {3, inf, 1}, {0, 0, 0, 0}, goldenToken{Vocab: 1000, LogitSeed: 3, Scale: 8}.logits()}
	for i := range rows[5] {
		rows[5][i] = float32(math.Round(float64(rows[5][i]))) // many ties
	}
	for r, logits := range rows {
		ids := make([]int, len(logits))
		for i := range ids {
			ids[i] = i
		}
		sort.Slice(ids, func(a, b int) bool { return rank(logits[ids[a]], ids[a]) > rank(logits[ids[b]], ids[b]) })
		for _, n := range []int{0, 1, 2, 20} {
			held := []backend.Likely{{ID: -7}}
			top, of := Top(held, logits, int32(len(logits)-1), n)
			if top[0].ID != -7 || len(top)-1 != min(n, len(logits)) {
				t.Fatalf("row %d: %d ids of %d: %v", r, n, len(logits), top)
			}
			for i, got := range top[1:] {
				if want := float32(LogProb(logits, int32(ids[i]))); int(got.ID) != ids[i] || got.LogProb != want {
					t.Errorf("row %d, place %d of %d: %+v, want id %d with %v", r, i, n, got, ids[i], want)
				}
			}
			if want := float32(LogProb(logits, int32(len(logits)-1))); of != want {
				t.Errorf("row %d: the id itself %v, want %v", r, of, want)
			}
		}
	}
	if _, of := Top(nil, []float32{1}, 4, 1); !math.IsInf(float64(of), -1) {
		t.Errorf("an id that isn't there: %v", of)
	}
}
