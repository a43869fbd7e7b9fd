package target

import "context"

// Traits is what the harness must know of a kind of target to treat it fairly.
// The zero Traits promises nothing.
type Traits struct {
	// InProcess: the subject computes in the measuring process, so that the
	// process's CPU time isn't the client's.
	InProcess bool
	// HonoursNoCache: Request.NoCache keeps the prefix cache out, so that prompts
	// can be sent as they are.
	HonoursNoCache bool
	// TakesIDs: Request.IDs is understood.
	TakesIDs bool
	// TurnsKVOff: Request.NoKV is honoured.
	TurnsKVOff bool
}

// Describer is implemented by a Target that has Traits.
type Describer interface {
	Traits() Traits
}

// TraitsOf gives t's traits, or none.
func TraitsOf(t Target) Traits {
	if d, ok := t.(Describer); ok {
		return d.Traits()
	}
	return Traits{}
}

// Noter is implemented by a Target that may have to tell something about the whole
// round: what was asked for and its subject doesn't understand.
type Noter interface {
	// Notes are sentences, the same one once.
	Notes() []string
}

// NotesOf gives t's notes, or none.
func NotesOf(t Target) []string {
	if n, ok := t.(Noter); ok {
		return n.Notes()
	}
	return nil
}

// Verifier is implemented by a Target that can compute a token a second time, by
// another path than the one that generated it.
type Verifier interface {
	// Verify computes which token follows the first n tokens of an answer to r, and
	// says whether it is ids[n]; a choice so close that rounding may turn it counts as
	// the same. The error says why it could not be computed.
	Verify(ctx context.Context, r Request, ids []int32, n int) (same bool, err error)
}
