//go:build native

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
)

// generation is what `generate --json` prints.
type generation struct {
	Prompt      []int32  `json:"prompt_ids"`
	IDs         []int32  `json:"ids"`
	Text        string   `json:"text"`
	Finish      string   `json:"finish"`
	TTFTMs      float64  `json:"ttft_ms,omitempty"`           // none of an emulated device
	DecodeRate  float64  `json:"decode_tok_per_s,omitempty"`  // (n − 1) over the time from first to last token
	PrefillRate float64  `json:"prefill_tok_per_s,omitempty"` // prompt tokens over the engine's prefill time
	Backend     string   `json:"backend"`
	ISA         string   `json:"isa,omitempty"`
	Device      string   `json:"device,omitempty"`
	Emulated    bool     `json:"emulated,omitempty"` // the device is an emulator: nothing here has a speed
	Synthetic   bool     `json:"synthetic,omitempty"`
	Faults      []string `json:"faults,omitempty"`
}

func generateCommand() *cobra.Command {
	var f engineFlags
	var ids, system string
	var raw, greedy, ignoreEOS, asJSON bool
	var n int
	var s struct {
		temperature, topP float32
		topK              int
		seed              uint64
		stop              []string
	}
	cmd := &cobra.Command{
		Use:   "generate [MODEL] [TEXT]",
		Short: "continue a prompt on the embedded engine",
		Long: `Continues a prompt on the embedded engine and streams the text. MODEL is
a folder, or the name of a pulled model; without it, it is the small model that this
program carries (robot-stories). TEXT is the user's
message of a chat; --raw continues it as it is; --ids gives exact token ids instead.`,
		Example: `  paceline generate
  paceline generate robot-stories "Tell a story about two robots."
  paceline generate Qwen/Qwen2.5-0.5B-Instruct "Why is the sky blue?"
  paceline generate DIR --ids 1,2,3 --greedy --ignore-eos -n 64 --json`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, text := "", "Write a short story about a robot."
			switch {
			case len(args) == 2:
				dir, text = args[0], args[1]
			case len(args) == 1 && strings.ContainsAny(args[0], " \n") && !isFolder(args[0]):
				text = args[0] // words, and no folder: the shipped model is meant
			case len(args) == 1:
				dir = args[0]
			}
			dir, err := modelOrShipped(dir)
			if err != nil {
				return err
			}
			e, err := f.open(cmd, dir)
			if err != nil {
				return err
			}
			defer e.Close()
			in, err := prompt(e, ids, text, system, raw)
			if err != nil {
				return err
			}
			r := engine.Request{Prompt: in, MaxTokens: n, IgnoreEOS: ignoreEOS, Stop: s.stop, Sampling: backend.Sampling{
				Temperature: s.temperature, TopP: s.topP, TopK: s.topK, Seed: s.seed,
			}}
			if greedy {
				r.Sampling = backend.Sampling{}
			}
			return generate(cmd, e, r, asJSON)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&ids, "ids", "", "token ids of the prompt: 1,2,3")
	fl.StringVar(&system, "system", "", "system message of the chat")
	fl.BoolVar(&raw, "raw", false, "continue the text as it is, without the chat template")
	fl.BoolVar(&greedy, "greedy", false, "always the likeliest token")
	fl.BoolVar(&ignoreEOS, "ignore-eos", false, "go on behind the model's own end token")
	fl.BoolVar(&asJSON, "json", false, "print ids, text and timings as JSON at the end")
	fl.IntVarP(&n, "max-tokens", "n", 256, "most tokens to generate")
	fl.Float32Var(&s.temperature, "temperature", 0.7, "of sampling; 0 is greedy")
	fl.Float32Var(&s.topP, "top-p", 0.9, "nucleus of sampling, 0 to 1")
	fl.IntVar(&s.topK, "top-k", 0, "sample from the likeliest K (0: all)")
	fl.Uint64Var(&s.seed, "seed", 0, "of sampling: equal seeds give equal text")
	fl.StringArrayVar(&s.stop, "stop", nil, "end before this text (may be repeated)")
	fl.StringArrayVar(&f.faults, "fault", nil, "plant a defect: slow=1.43, stall=0.5/100, wrong-token=0.01, leak=4096")
	return cmd
}

// generate streams one request; Ctrl-C ends it within a token.
func generate(cmd *cobra.Command, e *engine.Engine, r engine.Request, asJSON bool) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	began := time.Now()
	stream, err := e.Submit(ctx, r)
	if err != nil {
		return fail(exitRequest, "%w", err)
	}
	out := generation{Prompt: r.Prompt, Backend: e.Stats().Backend.Name, ISA: e.Stats().Backend.ISA, Synthetic: e.Model().Synthetic}
	if b := e.Stats().Backend; b.Name == "cuda" {
		out.Device, out.Emulated = b.Device, b.Emulated
	}
	showColdStart(cmd.ErrOrStderr(), e.ColdStart(), out.Emulated)
	for _, fault := range e.Stats().Faults {
		out.Faults = append(out.Faults, fault.String())
	}
	var first, last time.Time
	var end *engine.Finish
	w := cmd.OutOrStdout()
	for ev := range stream.Events() {
		if ev.Token >= 0 {
			if first.IsZero() {
				first = ev.At
			}
			last = ev.At
			out.IDs = append(out.IDs, ev.Token)
		}
		out.Text += ev.Text
		if !asJSON {
			fmt.Fprint(w, ev.Text)
		}
		end = ev.Finish
	}
	out.Finish = end.Reason
	if !out.Emulated {
		out.TTFTMs = first.Sub(began).Seconds() * 1e3
		if k := len(out.IDs); k > 1 && last.After(first) {
			out.DecodeRate = float64(k-1) / last.Sub(first).Seconds()
		}
		if d := end.PrefillEnd.Sub(end.PrefillStart); d > 0 {
			out.PrefillRate = float64(end.PromptTokens-end.CachedTokens) / d.Seconds()
		}
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(out); err != nil {
			return fail(exitMachine, "print the result: %w", err)
		}
	} else {
		note := ""
		if out.Synthetic {
			note = " · synthetic weights: the text means nothing"
		}
		speed := fmt.Sprintf("first token after %.1f ms · %s tok/s", out.TTFTMs, significant(out.DecodeRate))
		if out.Emulated {
			speed = "an emulator has no speed"
		}
		on := out.Backend + " " + out.ISA
		if out.Device != "" {
			on += " · " + out.Device
		}
		fmt.Fprintf(w, "\n\n%s · finish %s · %s · %s%s\n", plural(len(out.IDs), "token"), out.Finish, speed, on, note)
	}
	switch {
	case end.Reason == engine.FinishCancel:
		return &exitError{code: exitCancelled}
	case end.Err != nil:
		return fail(exitMachine, "generate: %w", end.Err)
	}
	return nil
}

// significant is a rate with three digits or more, never with an exponent.
func significant(rate float64) string {
	digits := 0
	switch {
	case rate < 10:
		digits = 2
	case rate < 100:
		digits = 1
	}
	return strconv.FormatFloat(rate, 'f', digits, 64)
}

// showColdStart says how long a device took to get ready, by stage, and what went wrong on the way.
func showColdStart(w io.Writer, c backend.ColdStart, emulated bool) {
	for _, n := range c.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	if len(c.Stages) == 0 || emulated {
		return
	}
	var parts []string
	for _, s := range c.Stages {
		parts = append(parts, fmt.Sprintf("%s %d ms", s.Name, s.Took.Milliseconds()))
	}
	fmt.Fprintln(w, "start:", strings.Join(parts, " · "))
}
