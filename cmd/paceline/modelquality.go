//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/quality"
)

// compared says which models are compared, on what, and how they are opened.
type compared struct {
	model, against string // folders
	flags          engineFlags
	ids, text      string // at most one is given; neither: the fixed text
}

// comparison is how far a model's predictions lie from another's.
type comparison struct {
	quality.Report

	Model     string `json:"model"` // weights/compute of the one that is judged
	Against   string `json:"against"`
	On        string `json:"on"` // what they predict: "fixed text", "fixed ids" or "given"
	Backend   string `json:"backend"`
	ISA       string `json:"isa,omitempty"`
	Synthetic bool   `json:"synthetic,omitempty"`
}

// scoreAgainst compares two models, by their names.
func scoreAgainst(cmd *cobra.Command, name, against string, c compared, asJSON bool) (err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd.SetContext(ctx)
	if c.model, err = modelOrShipped(name); err != nil {
		return err
	}
	if c.against, err = modelOrShipped(against); err != nil {
		return err
	}
	out, err := compareModels(cmd, c)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(cmd.OutOrStdout(), out)
	}
	return out.print(cmd.OutOrStdout())
}

// compareModels computes the same ids by both models, one after the other, so that only one
// is in memory at a time.
func compareModels(cmd *cobra.Command, c compared) (_ comparison, err error) {
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	d := newShareDisplay(w, terminalWidth(w))
	defer d.end()
	var out comparison
	var ids []int32
	var r *quality.Reference
	// each opens one model, hands it over, and closes it.
	each := func(dir string, f engineFlags, do func(e *engine.Engine, l quality.Logits) error) (err error) {
		f.hint = quality.MaxIDs
		e, err := f.open(cmd, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		return do(e, func(ctx context.Context, ids []int32, each func(int, []float32) error) error {
			return e.Logits(ctx, ids, func(i int, logits []float32) error {
				d.update("comparing "+e.Stats().Backend.Weights, int64(i+1), int64(len(ids)), func(n int64) string { return fmt.Sprint(n, " positions") })
				return each(i, logits)
			})
		})
	}
	plain := c.flags
	plain.weights = ""
	err = each(c.against, plain, func(e *engine.Engine, l quality.Logits) (err error) {
		if ids, out.On, err = c.input(e); err != nil {
			return err
		}
		out.Against = weightsOf(e)
		r, err = quality.Record(ctx, l, ids)
		return err
	})
	if err == nil {
		err = each(c.model, c.flags, func(e *engine.Engine, l quality.Logits) (err error) {
			b := e.Stats().Backend
			out.Model, out.Backend, out.ISA, out.Synthetic = weightsOf(e), b.Name, b.ISA, e.Model().Synthetic
			out.Report, err = r.Compare(ctx, l)
			return err
		})
	}
	var known *exitError
	switch {
	case cancelled(ctx, err):
		return out, fail(exitCancelled, "the comparison was cancelled")
	case errors.As(err, &known):
		return out, err
	case err != nil:
		return out, fail(exitRequest, "%w", err)
	}
	return out, nil
}

// weightsOf is how an engine holds its weights and computes with them.
func weightsOf(e *engine.Engine) string {
	b := e.Stats().Backend
	return b.Weights + "/" + b.Compute
}

// input gives the ids that both models compute. A model without a tokenizer gets ids that mean nothing.
func (c *compared) input(e *engine.Engine) (ids []int32, on string, err error) {
	most := min(quality.MaxIDs, e.Stats().Backend.MaxContext)
	switch {
	case c.ids != "":
		ids, err = parseIDs(c.ids)
		on = "given"
	case c.text != "":
		ids, err = prompt(e, "", c.text, "", true)
		on = "given"
	default:
		if _, missing := e.Tokenizer(); missing != nil {
			return quality.IDs(most, e.Stats().Backend.VocabSize), "fixed ids", nil
		}
		on = "fixed text"
		ids, err = prompt(e, "", quality.Text(), "", true)
	}
	if err != nil {
		return nil, "", err
	}
	if on == "given" && len(ids) > most {
		return nil, "", fail(exitRequest, "%d tokens to compare: at most %d", len(ids), most)
	}
	return ids[:min(len(ids), most)], on, nil
}

// print shows the comparison to a person.
func (c comparison) print(w io.Writer) error {
	on := map[string]string{"fixed text": "of the fixed text", "fixed ids": "of fixed ids", "given": "given"}[c.On]
	fmt.Fprintf(w, "%s against %s on %s %s %s\n", c.Model, c.Against, plural(c.Positions, "position"), on, "("+c.Backend+c.isa()+")")
	fmt.Fprintf(w, "KL divergence   mean %.3g · p99 %.3g · max %.3g nats\n", c.KLMean, c.KLP99, c.KLMax)
	fmt.Fprintf(w, "likeliest token the same at %.1f %% of positions\n", 100*c.TopOne)
	_, err := fmt.Fprintf(w, "log-likelihood  %+.4f a token · perplexity %.4g instead of %.4g (×%.4f)\n", c.DeltaLogLik, c.Perplexity, c.ReferencePerplexity, c.PerplexityRatio)
	if c.Synthetic {
		_, err = fmt.Fprintln(w, "SYNTHETIC       random weights: this says nothing about a real model")
	}
	return err
}

func (c comparison) isa() string {
	if c.ISA == "" {
		return ""
	}
	return " " + c.ISA
}
