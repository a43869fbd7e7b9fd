package target

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
