//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/ref"
	"github.com/paceline/paceline/engine/token"
)

// quantizeFlags say what is quantised to what, and how the result is judged.
type quantizeFlags struct {
	quant.Options

	algorithm string
	calibrate string // a file with text, for GPTQ
	noQuality bool
	asJSON    bool
	engine    engineFlags // of the engine that judges
}

func quantizeCommand() *cobra.Command {
	var f quantizeFlags
	cmd := &cobra.Command{
		Use:   "quantize MODEL DIR --weights w8|w4",
		Short: "write a model with 8 or 4 bits a weight, and say what that costs in quality",
		Long: `Writes the folder DIR with the model's matrices in 8 or 4 bits, everything else as it
is: a model like any other, a half or a quarter as large. Then it compares both on a
fixed text: how far the predictions lie apart, how often the likeliest token is the
same, and how likely each finds the text.

  w8   8 bits a weight, a scale for each row
  w4   4 bits a weight, a scale for each 128 weights of a row; embedding and head in w8

How scales are chosen (--algorithm): rtn rounds to nearest; search, the default, tries
scales for the smallest error of each group. gptq is for w4: it also lets weights make up
for each other's errors, by what the model computes on the text of --calibrate, which
should read like what the model will be used for. It takes about a second for each
of up to ` + strconv.Itoa(maxCalibration) + ` tokens of a model of 0.5 G parameters.

DIR appears whole or not at all. The source must not be quantised already.`,
		Example: `  paceline model quantize Qwen/Qwen2.5-0.5B-Instruct ./qwen-w4 --weights w4
  paceline run throughput --model ./qwen-w4
  paceline model quantize robot-stories ./robots-w8 --weights w8 --algorithm rtn --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cmd.SetContext(ctx)
			return f.run(cmd, args[0], args[1])
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Format, "weights", "", "the format: "+strings.Join(quant.Formats(), " or "))
	fl.StringVar(&f.algorithm, "algorithm", string(quant.Search), "rtn, search or gptq")
	fl.StringVar(&f.calibrate, "calibrate", "", "a file of text that gptq looks at")
	fl.BoolVar(&f.Replace, "force", false, "replace the model in DIR")
	fl.BoolVar(&f.noQuality, "no-quality", false, "don't compare the result with the source")
	fl.BoolVar(&f.asJSON, "json", false, "as JSON")
	fl.StringVar(&f.engine.backend, "backend", "cpu", "that compares: cpu, or ref (float64, slow, the oracle)")
	fl.IntVar(&f.engine.threads, "threads", 0, "threads that compare (default: one a core)")
	if err := cmd.MarkFlagRequired("weights"); err != nil {
		panic(err) // the flag is three lines above
	}
	return cmd
}

// quantized is what `model quantize --json` prints.
type quantized struct {
	quant.Report

	Quality *comparison `json:"quality,omitempty"`
}

func (f *quantizeFlags) run(cmd *cobra.Command, name, dst string) error {
	src, err := modelOrShipped(name)
	if err != nil {
		return err
	}
	ctx, w := cmd.Context(), cmd.ErrOrStderr()
	d := newShareDisplay(w, terminalWidth(w))
	f.Algorithm = quant.Algorithm(f.algorithm)
	if f.Inputs, err = f.inputs(ctx, src, d); err != nil {
		return err
	}
	f.Progress = func(done, total int64) { d.update("quantising", done, total, megabytes) }
	r, err := quant.Folder(ctx, src, dst, f.Options)
	d.end()
	switch {
	case ctx.Err() != nil:
		return fail(exitCancelled, "cancelled: %s is as it was", dst)
	case errors.Is(err, model.ErrExists):
		return fail(exitRequest, "%w; --force replaces a model", err)
	case err != nil:
		return &exitError{code: codeOf(err), err: err}
	}
	out := quantized{Report: r}
	if !f.asJSON {
		if err := printSizes(cmd.OutOrStdout(), r, dst); err != nil {
			return err
		}
	}
	if !f.noQuality {
		c, err := compareModels(cmd, compared{model: dst, against: src, flags: f.engine})
		if err != nil {
			code := exitMachine
			if known := (*exitError)(nil); errors.As(err, &known) {
				code = known.code
			}
			return fail(code, "%w\n%s is written and whole; its quality isn't known: try again with paceline model score %s --against %s", err, dst, quoteWord(dst), quoteWord(name))
		}
		out.Quality = &c
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	if out.Quality == nil {
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout())
	return out.Quality.print(cmd.OutOrStdout())
}

// maxCalibration bounds the tokens of the text that is looked at: their inputs are kept.
const maxCalibration = 512

// inputs computes the text of --calibrate with src; nil where none is needed.
func (f *quantizeFlags) inputs(ctx context.Context, src string, d *shareDisplay) (_ func(name string) []float32, err error) {
	switch wanted := f.Algorithm == quant.GPTQ; {
	case wanted && f.calibrate == "":
		return nil, fail(exitRequest, "gptq looks at what the model computes on a text: give one by --calibrate FILE, some 400 words like those that it will read and write")
	case !wanted && f.calibrate != "":
		return nil, fail(exitRequest, "--calibrate is for --algorithm gptq")
	case !wanted:
		return nil, nil
	}
	text, err := os.ReadFile(f.calibrate)
	if err != nil {
		return nil, fail(exitRequest, "--calibrate: %w", err)
	}
	t, err := token.Open(src)
	if err != nil {
		return nil, fail(exitRequest, "--calibrate: %w", err)
	}
	defer t.Close()
	c, err := model.Open(src)
	if err != nil {
		return nil, &exitError{code: codeOf(err), err: err}
	}
	defer c.Close()
	ids, err := t.Encode(string(text), false)
	if err != nil {
		return nil, fail(exitRequest, "--calibrate %s: %w", f.calibrate, err)
	}
	ids = ids[:min(len(ids), maxCalibration, c.Config.MaxPositions)]
	seen, err := ref.Observe(ctx, c, ids, func(done, total int64) {
		d.update("calibrating", done, total, func(n int64) string { return plural(int(n), "token") })
	})
	d.end()
	switch {
	case cancelled(ctx, err):
		return nil, fail(exitCancelled, "the calibration was cancelled")
	case err != nil:
		return nil, fail(exitRequest, "--calibrate %s: %w", f.calibrate, err)
	}
	return func(name string) []float32 { return seen[ref.InputsOf(name)] }, nil
}

// printSizes shows what the weights took and take.
func printSizes(w io.Writer, r quant.Report, dst string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	from, to := r.From, r.To
	fmt.Fprintf(t, "\t%s\t%s\t\n", from.DType, to.DType)
	fmt.Fprintf(t, "weights\t%s\t%s\t%.1f %%\n", megabytes(from.Bytes), megabytes(to.Bytes), 100*float64(to.Bytes)/float64(from.Bytes))
	fmt.Fprintf(t, "bits a weight\t%.2f\t%.2f\t\n", from.Bits, to.Bits)
	fmt.Fprintf(t, "read a token\t%s\t%s\t%.1f %%\n", megabytes(from.StepBytes), megabytes(to.StepBytes), 100*float64(to.StepBytes)/float64(from.StepBytes))
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "digest         %s\nwrote          %s (%s, %s)\n", r.Digest, dst, to.Quantization.Weights, to.Quantization.Algorithm)
	return err
}

// shareDisplay shows how much of one thing is done: on a terminal a line that is redrawn,
// else a line at each tenth.
type shareDisplay struct {
	w     io.Writer
	width int // columns of the terminal; 0: it is none
	now   func() time.Time

	began, shown time.Time
	last         string // said last, to say nothing twice
	drawn        bool
}

func newShareDisplay(w io.Writer, width int) *shareDisplay {
	return &shareDisplay{w: w, width: width, now: time.Now}
}

// update says how much of what is done, in words that unit makes of the numbers.
func (d *shareDisplay) update(what string, done, total int64, unit func(int64) string) {
	now := d.now()
	if d.began.IsZero() {
		d.began = now
	}
	share := float64(done) / float64(max(total, 1))
	if d.width == 0 {
		said := fmt.Sprintf("%s  %d %% of %s", what, int(share*10)*10, unit(total))
		if said != d.last {
			fmt.Fprintln(d.w, said)
		}
		d.last = said
		return
	}
	if now.Sub(d.shown) < 80*time.Millisecond && done != total {
		return
	}
	d.shown, d.drawn = now, true
	left := ""
	if took := now.Sub(d.began).Seconds(); took > 1 && done > 0 && done < total {
		left = "  " + clock(took*(1-share)/share) + " left"
	}
	line := fmt.Sprintf("%s  %s %3.0f %%  %s of %s%s", what, blocks(share, 24), 100*share, unit(done), unit(total), left)
	fmt.Fprintf(d.w, "\r\x1b[K%s", cut(line, d.width))
}

// end leaves the terminal's line to what comes next.
func (d *shareDisplay) end() {
	if d.drawn {
		fmt.Fprint(d.w, "\r\x1b[K")
	}
}

// cancelled says whether an error is a person's wish.
func cancelled(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }
