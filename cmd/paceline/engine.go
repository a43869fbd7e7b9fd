//go:build native

package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/token"
)

// engineFlags are the flags of commands that open the engine.
type engineFlags struct {
	backend string
	device  string
	compute string
	weights string
	kv      string
	isa     string
	guess   int
	noCache bool
	threads int
	context int
	hint    int   // positions that are needed at most; 0: the model's limit
	kvBytes int64 // 0: automatic
	faults  []string
}

func (f *engineFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.backend, "backend", "cpu", "cpu, cuda (an NVIDIA GPU), or ref (float64, slow, the oracle)")
	cmd.Flags().StringVar(&f.device, "device", "", "GPU of --backend cuda: its index, UUID (GPU-… or MIG-…) or bus id, as nvidia-smi prints them (default: the first)")
	cmd.Flags().StringVar(&f.compute, "compute", "", "activations of matrix products: f32 (exact) or bf16 (faster prefill); quantised weights take int8")
	cmd.Flags().StringVar(&f.kv, "kv", "", "keys and values in the cache: f32, bf16 or int8 (default: f32 where --compute is, else bf16)")
	cmd.Flags().StringVar(&f.weights, "weights", "", "quantise while loading: w8 or w4; bf16 wants them stored so (default: as they are stored)")
	cmd.Flags().StringVar(&f.isa, "isa", "", "kernel set: amx, avx512bf16, avx512vnni, avx512, avx2, neondot, neon or scalar (default: the best this CPU has)")
	cmd.Flags().IntVar(&f.guess, "speculate", 0, "guess up to so many tokens ahead from repetitions in the text; the answer stays the same (default: off)")
	cmd.Flags().BoolVar(&f.noCache, "no-prefix-cache", false, "compute every prompt whole, whatever was computed before")
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads that compute (default: one a core)")
	cmd.Flags().IntVar(&f.context, "context", 0, "positions a sequence may have (default: the model's limit)")
}

func (f *engineFlags) open(cmd *cobra.Command, dir string) (*engine.Engine, error) {
	o := engine.Options{ModelDir: dir, Backend: f.backend, Device: f.device, Compute: f.compute, Weights: f.weights, KV: f.kv, Speculate: f.guess, NoPrefixCache: f.noCache, ISA: f.isa, Threads: f.threads, MaxContext: f.context, ContextHint: f.hint, KVBytes: f.kvBytes}
	for _, s := range f.faults {
		fault, err := engine.ParseFault(s)
		if err != nil {
			return nil, fail(exitRequest, "%w", err)
		}
		o.Faults = append(o.Faults, fault)
	}
	e, err := engine.Open(cmd.Context(), o)
	if err != nil {
		return nil, &exitError{code: codeOf(err), err: err}
	}
	return e, nil
}

// codeOf says who has to act on an error of the engine.
func codeOf(err error) int {
	for _, request := range []error{model.ErrNotFound, model.ErrInvalid, model.ErrUnsupported, backend.ErrUnavailable, engine.ErrOptions} {
		if errors.Is(err, request) {
			return exitRequest
		}
	}
	return exitMachine
}

// parseIDs reads "1,2,3".
func parseIDs(s string) ([]int32, error) {
	var ids []int32
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || n < 0 {
			return nil, fail(exitRequest, "token ids %q: %q is no id; write them as 1,2,3", s, part)
		}
		ids = append(ids, int32(n))
	}
	return ids, nil
}

// prompt gives the ids of what the flags name: ids as they are, or a text that is
// the user's message of a chat, or is continued as it is.
func prompt(e *engine.Engine, ids, text, system string, raw bool) ([]int32, error) {
	if ids != "" {
		return parseIDs(ids)
	}
	t, err := e.Tokenizer()
	if err != nil {
		return nil, fail(exitRequest, "%w", err)
	}
	if !raw {
		var c token.Conversation
		if system != "" {
			c.Messages = append(c.Messages, token.Message{Role: "system", Content: system})
		}
		c.Messages = append(c.Messages, token.Message{Role: "user", Content: text})
		c.AddGenerationPrompt = true
		if text, err = t.Chat(c); err != nil {
			return nil, fail(exitRequest, "render the chat template: %w; --raw continues the text as it is", err)
		}
	}
	out, err := t.Encode(text, false)
	if err != nil {
		return nil, fail(exitRequest, "%w", err)
	}
	return out, nil
}

// modelOrShipped gives the folder of a model; an empty name is the model that this
// program carries, unpacked beside the data.
func modelOrShipped(name string) (string, error) {
	if name == "" {
		name = "default"
	}
	dir, err := catalogue("")(name)
	if err != nil {
		return "", fail(exitRequest, "%w", err)
	}
	return dir, nil
}
