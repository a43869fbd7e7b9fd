//go:build native

package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/token"
)

func modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "model", Short: "fetch, make, inspect, quantise and score models",
		Long: `Fetches, makes, inspects, quantises and scores models. A MODEL is a folder with config.json,
tokenizer.json and *.safetensors, the name of one that was pulled (ORG/NAME), or
robot-stories, which this program carries.`,
	}
	cmd.AddCommand(pullCommand(), listCommand(), synthCommand(), inspectCommand(), tokenizeCommand(), scoreCommand(), quantizeCommand())
	return cmd
}

func synthCommand() *cobra.Command {
	var o model.SynthOptions
	cmd := &cobra.Command{
		Use:   "synth PRESET DIR",
		Short: "write a model of a real architecture with random weights, for measuring speed",
		Long: `Writes a model folder with the full-size architecture of PRESET and seeded random
weights, and a tokenizer made for it that covers its whole vocabulary. It serves
measurements of speed; its text means nothing, and every result made with it says
"synthetic".

Presets: qwen2.5-0.5b (about 1 GB), tiny.`,
		Example: "  paceline model synth qwen2.5-0.5b ./qwen-synthetic\n  paceline run throughput --model ./qwen-synthetic",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			shown := int64(-1)
			o.Progress = func(done, total int64) {
				if percent := 100 * done / total; percent/10 != shown/10 || shown < 0 {
					shown = percent
					fmt.Fprintf(cmd.ErrOrStderr(), "%3d %% of %.0f MB\n", percent, float64(total)/1e6)
				}
			}
			err := model.Synth(ctx, args[0], args[1], o)
			switch {
			case ctx.Err() != nil:
				return fail(exitCancelled, "%w", err)
			case err != nil:
				return fail(exitRequest, "%w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s (synthetic %s)\n", args[1], args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&o.TokenizerDir, "tokenizer", "", "copy the tokenizer from this model folder (default: one is made)")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "of the weights and of the tokenizer's invented words")
	return cmd
}

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inspect [MODEL]", Short: "say what a model holds, and check it", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := modelOrShipped(first(args))
			if err != nil {
				return err
			}
			c, err := model.Open(dir)
			if err != nil {
				return &exitError{code: codeOf(err), err: err}
			}
			defer c.Close()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), c.Inspect())
			}
			return printInspection(cmd.OutOrStdout(), c.Inspect())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func printInspection(w io.Writer, in model.Inspection) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("folder", "%s", in.Dir)
	row("architecture", "%s, %d layers, hidden %d, intermediate %d", in.Architecture, in.Config.Layers, in.Config.HiddenSize, in.Config.IntermediateSize)
	row("heads", "%d query, %d key/value, size %d", in.Config.Heads, in.Config.KVHeads, in.Config.HeadDim)
	row("vocabulary", "%d, tied head: %v", in.Config.VocabSize, in.Config.TieEmbeddings)
	row("context", "%d tokens, rope theta %g", in.Context, in.Config.RopeTheta)
	row("config dialect", "%s", in.Dialect)
	row("parameters", "%.2f M, %s", float64(in.Parameters)/1e6, in.DType)
	row("weights", "%.1f MB in %s, %.2f bits a weight", float64(in.Bytes)/1e6, plural(len(in.Files), "file"), in.Bits)
	if q := in.Quantization; q != nil {
		row("quantised", "%s by %s, groups of %d, embedding and head in %s, from %.12s", q.Weights, q.Algorithm, q.GroupSize, q.Head, q.SourceDigest)
	}
	row("read a token", "%.1f MB, %.1f MFLOP", float64(in.StepBytes)/1e6, float64(in.StepFlops)/1e6)
	row("KV cache", "%d B a token in 16 bit, %.1f MB for a full context", in.KVBytes16, float64(in.KVContext)/1e6)
	if in.Synthetic {
		row("SYNTHETIC", "random weights: good for speed, its text means nothing")
	}
	return t.Flush()
}

func tokenizeCommand() *cobra.Command {
	var asJSON, special bool
	cmd := &cobra.Command{
		Use: "tokenize MODEL TEXT", Short: "turn a text into token ids", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := modelOrShipped(args[0])
			if err != nil {
				return err
			}
			t, err := token.Open(dir)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			defer t.Close()
			ids, err := t.Encode(args[1], special)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"ids": ids, "count": len(ids)})
			}
			for _, id := range ids {
				piece, err := t.Decode([]int32{id}, false)
				if err != nil {
					return fail(exitMachine, "%w", err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d\t%q\n", id, piece)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&special, "special", false, "with the tokens that the model expects around a text")
	return cmd
}

// scored is what `model score --json` prints.
type scored struct {
	IDs        []int32   `json:"ids"`
	Logits     []float32 `json:"logits"`
	Argmax     int32     `json:"argmax"`
	LogSumExp  float64   `json:"log_sum_exp"`
	SumLogProb float64   `json:"sum_log_prob"`
	Synthetic  bool      `json:"synthetic,omitempty"`
}

func scoreCommand() *cobra.Command {
	var f engineFlags
	var ids, text, against string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "score MODEL (--ids 1,2,3 | --text T | --against OTHER)",
		Short: "logits after a text and how likely the model finds it, or how far it lies from another",
		Long: `Without --against: the logits after the last token, and how likely the model finds the
text. With it: how far MODEL's predictions lie from OTHER's at each position, such as
those of a quantised model from its source's; without --ids or --text on a fixed text
of prose, numbers and code. --weights is for MODEL alone.`,
		Example: `  paceline model score robot-stories --text "Once upon a time"
  paceline model score ./qwen-w4 --against Qwen/Qwen2.5-0.5B-Instruct
  paceline model score robot-stories --weights w4 --against robot-stories`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case ids != "" && text != "", against == "" && ids == "" && text == "":
				return fail(exitRequest, "give either --ids or --text")
			case against != "":
				return scoreAgainst(cmd, args[0], against, compared{flags: f, ids: ids, text: text}, asJSON)
			}
			dir, err := modelOrShipped(args[0])
			if err != nil {
				return err
			}
			e, err := f.open(cmd, dir)
			if err != nil {
				return err
			}
			defer e.Close()
			in, err := prompt(e, ids, text, "", true)
			if err != nil {
				return err
			}
			s, err := e.Score(cmd.Context(), in)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), scored{in, s.LastLogits, s.Argmax, s.LogSumExp, s.SumLogProb, e.Model().Synthetic})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s · next %d · log-sum-exp %.6f · sum of log-probabilities %.6f\n",
				plural(len(in), "token"), s.Argmax, s.LogSumExp, s.SumLogProb)
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&ids, "ids", "", "token ids: 1,2,3")
	cmd.Flags().StringVar(&text, "text", "", "a text, tokenised without the chat template")
	cmd.Flags().StringVar(&against, "against", "", "the model that MODEL is compared with")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, with the logits after the last token")
	return cmd
}
