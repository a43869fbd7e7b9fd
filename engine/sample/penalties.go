package sample

import (
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/engine/backend"
)

// Penalties make ids less or more likely by what came before them, or forbid them; the package
// comment says how. The zero value changes nothing.
type Penalties struct {
	Repetition float32 // of ids in the prompt or generated; 1 or 0: off; above 1 discourages
	Presence   float32 // of ids generated; 0: off
	Frequency  float32 // of ids generated, for each time; 0: off
	Bias       []Bias  // of single ids, each at most once
}

// Bias is added to one id's logit.
type Bias struct {
	ID  int32
	Add float32
}

// Validate says what is wrong with p for a vocabulary of so many ids, or nil.
func (p Penalties) Validate(vocab int) error {
	if p.Repetition != 0 && !positive(p.Repetition) {
		return fmt.Errorf("repetition penalty %v: want a finite number above 0 (1 turns it off)", p.Repetition)
	}
	for _, v := range []struct {
		name string
		v    float32
	}{{"presence", p.Presence}, {"frequency", p.Frequency}} {
		if !finite(v.v) {
			return fmt.Errorf("%s penalty %v: want a finite number (0 turns it off)", v.name, v.v)
		}
	}
	seen := map[int32]bool{}
	for i, b := range p.Bias {
		switch {
		case b.ID < 0 || int(b.ID) >= vocab:
			return fmt.Errorf("bias %d is of id %d: want an id from 0 to %d", i, b.ID, vocab-1)
		case seen[b.ID]:
			return fmt.Errorf("two biases of id %d: give one", b.ID)
		case !finite(b.Add):
			return fmt.Errorf("bias of id %d is %v: want a finite number", b.ID, b.Add)
		}
		seen[b.ID] = true
	}
	return nil
}

func finite(f float32) bool { return f-f == 0 }

// Editor keeps the edits of one sequence while it grows. A nil Editor changes nothing.
// One goroutine uses it at a time.
type Editor struct {
	p      Penalties
	repeat bool
	counts bool // presence or frequency is on

	forbid []int32 // ascending
	until  int     // generated tokens up to which forbid holds
	drawn  int     // tokens generated

	edits backend.Edits
	times []int32 // parallel to edits.List: how often the id was generated
	bias  []float32
}

// NewEditor starts a sequence with a prompt. The ids of forbid can't be drawn until so many
// tokens were generated. It is nil where nothing is to be edited. All ids must be of the
// vocabulary and p valid.
func NewEditor(p Penalties, prompt, forbid []int32, until int) *Editor {
	e := &Editor{
		p: p, repeat: p.Repetition != 0 && p.Repetition != 1, counts: p.Presence != 0 || p.Frequency != 0,
		until: until, edits: backend.Edits{Repetition: p.Repetition},
	}
	if until > 0 {
		e.forbid = slices.Compact(slices.Sorted(slices.Values(forbid)))
	}
	if !e.repeat && !e.counts && len(p.Bias) == 0 && len(e.forbid) == 0 {
		return nil
	}
	ids := slices.Clone(e.forbid)
	for _, b := range p.Bias {
		ids = append(ids, b.ID)
	}
	if e.repeat {
		ids = append(ids, prompt...)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		e.place(len(e.edits.List), id)
	}
	if e.repeat {
		for _, id := range prompt {
			i, _ := e.find(id)
			e.edits.List[i].Repeat = true
		}
	}
	for _, b := range p.Bias {
		i, _ := e.find(b.ID)
		e.bias[i] = b.Add
	}
	for i := range e.edits.List {
		e.weigh(i)
	}
	return e
}

// Drew takes the next generated token.
func (e *Editor) Drew(id int32) {
	if e == nil {
		return
	}
	e.drawn++
	if e.repeat || e.counts {
		i, ok := e.find(id)
		if !ok {
			e.place(i, id)
		}
		e.times[i]++
		e.edits.List[i].Repeat = e.repeat
		e.weigh(i)
	}
	if e.drawn != e.until {
		return
	}
	for _, id := range e.forbid {
		i, _ := e.find(id)
		e.weigh(i)
		if !e.edits.List[i].Repeat && e.times[i] == 0 && e.bias[i] == 0 {
			e.edits.List = slices.Delete(e.edits.List, i, i+1)
			e.times, e.bias = slices.Delete(e.times, i, i+1), slices.Delete(e.bias, i, i+1)
		}
	}
}

// Edits are those of the next draw, or nil. They hold until the next Drew and must not be
// changed.
func (e *Editor) Edits() *backend.Edits {
	if e == nil || len(e.edits.List) == 0 {
		return nil
	}
	return &e.edits
}

// find gives where id is in the list, or where it would be.
func (e *Editor) find(id int32) (int, bool) {
	return slices.BinarySearchFunc(e.edits.List, id, func(x backend.Edit, id int32) int { return int(x.ID) - int(id) })
}

// place makes room for an id that isn't in the list yet.
func (e *Editor) place(i int, id int32) {
	e.edits.List = slices.Insert(e.edits.List, i, backend.Edit{ID: id})
	e.times, e.bias = slices.Insert(e.times, i, 0), slices.Insert(e.bias, i, 0)
}

// weigh computes Add of an entry anew.
func (e *Editor) weigh(i int) {
	entry := &e.edits.List[i]
	if _, forbidden := slices.BinarySearch(e.forbid, entry.ID); forbidden && e.drawn < e.until {
		entry.Add = float32(math.Inf(-1))
		return
	}
	less := 0.0
	if c := e.times[i]; c > 0 {
		less = float64(float64(e.p.Frequency)*float64(c)) + float64(e.p.Presence)
	}
	add := float32(float64(e.bias[i]) - less)
	// Beyond binary32 it would be infinite, and +Inf is no edit.
	entry.Add = max(min(add, math.MaxFloat32), -math.MaxFloat32)
}
