package plan

import "fmt"

// Program is what is measured.
type Program string

// The programs.
const (
	Engine       Program = "paceline"
	LlamaCpp     Program = "llama.cpp"
	Candle       Program = "candle"
	Transformers Program = "transformers"
)

// Kind is what a program is asked to do.
type Kind string

// The kinds, with the unit of their value.
const (
	Decode  Kind = "decode"  // Decode tokens of one stream from an almost empty context: tok/s
	Prefill Kind = "prefill" // Prompt tokens: tok/s
	Streams Kind = "streams" // Decode tokens of each of Streams streams at once: tok/s of all
	TTFT    Kind = "ttft"    // Prompt tokens over HTTP, process warm, nothing cached: ms
	Memory  Kind = "memory"  // resident set after Prompt + Decode tokens of context: MB
	Start   Kind = "start"   // from the process's start to the first token, ids given: s
)

// Unit of the kind's value, and whether less is better.
func (k Kind) Unit() (unit string, lowerIsBetter bool) {
	switch k {
	case TTFT:
		return "ms", true
	case Memory:
		return "MB", true
	case Start:
		return "s", true
	default:
		return "tok/s", false
	}
}

// Task is one measurement by one program, which is a process of its own.
type Task struct {
	Program Program `json:"program"`
	Kind    Kind    `json:"kind"`
	// Format of the weights, by the program's own name: bf16, w8, w4 of the engine; bf16, q8_0,
	// q4_0 of llama.cpp; f32, bf16 of candle and transformers.
	Format string `json:"format"`
	// Compute is the engine's type of activations in matrix products: f32 or bf16; empty for
	// the format's own, and for the other programs.
	Compute string `json:"compute,omitempty"`
	Prompt  int    `json:"prompt,omitempty"`
	Decode  int    `json:"decode,omitempty"`
	Streams int    `json:"streams,omitempty"`
}

// String names the task for people.
func (t Task) String() string {
	s := fmt.Sprintf("%s %s", t.Program, t.Format)
	if t.Compute == "f32" && t.Kind == Prefill {
		s += " exact"
	}
	switch t.Kind {
	case Prefill, TTFT:
		return fmt.Sprintf("%s %s %d", s, t.Kind, t.Prompt)
	case Streams:
		return fmt.Sprintf("%s decode, %d streams", s, t.Streams)
	case Decode:
		return fmt.Sprintf("%s decode %d", s, t.Decode)
	default:
		return fmt.Sprintf("%s %s", s, t.Kind)
	}
}
