//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/hub"
)

func pullCommand() *cobra.Command {
	var o hub.Options
	cmd := &cobra.Command{
		Use:   "pull ORG/NAME[@REVISION]",
		Short: "download a model from a hub, to measure it by its name",
		Long: `Downloads the files of a model that the engine reads: config.json, the tokenizer, the
chat template and the safetensors. What is cut short goes on where it stopped when
the same command runs again. Every file is checked against the digest that the hub
names, and shows in the cache only after that. Standard output is the model's folder.

The cache is the one that Python's huggingface_hub uses: what either has fetched, the
other finds.

Variables:
  HF_ENDPOINT   the hub (default: ` + hub.DefaultEndpoint + `)
  HF_TOKEN      for private and gated models; sent to HF_ENDPOINT and nowhere else
  HF_HUB_CACHE  the cache (default: hub in HF_HOME, else ~/.cache/huggingface/hub)
  HTTPS_PROXY   a proxy, as for other programs

Exit codes: 2 the model isn't there, isn't allowed, or the engine can't run it;
3 the network or the disk failed; 5 cancelled.`,
		Example: `  paceline model pull Qwen/Qwen2.5-0.5B-Instruct
  paceline run throughput --model Qwen/Qwen2.5-0.5B-Instruct
  paceline model pull Qwen/Qwen2.5-0.5B-Instruct@main`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return pullModel(ctx, cmd, args[0], o)
		},
	}
	cmd.Flags().BoolVar(&o.Any, "any", false, "also a model that this engine can't run, to measure another server with it")
	return cmd
}

func pullModel(ctx context.Context, cmd *cobra.Command, name string, o hub.Options) error {
	n, err := hub.ParseName(name)
	if err != nil {
		return fail(exitRequest, "%w", err)
	}
	if o.Cache, err = hub.CacheDir(os.Getenv); err != nil {
		return fail(exitRequest, "%w", err)
	}
	o.Endpoint, o.Token = os.Getenv("HF_ENDPOINT"), os.Getenv("HF_TOKEN")
	w := cmd.ErrOrStderr()
	d := newPullDisplay(w, terminalWidth(w))
	o.Progress = d.update
	r, err := hub.Pull(ctx, n, o)
	d.end()
	switch {
	case ctx.Err() != nil:
		return fail(exitCancelled, "the pull of %s was cancelled; run it again and it goes on where it stopped", n)
	case errors.Is(err, model.ErrUnsupported):
		return fail(exitRequest, "%w; --any fetches them all the same, for another server", err)
	case errors.Is(err, hub.ErrRequest):
		return fail(exitRequest, "%w", err)
	case err != nil:
		return fail(exitMachine, "pull %s: %w", n, err)
	}
	switch {
	case r.Offline != nil:
		fmt.Fprintf(w, "%v\n%s was pulled before, and that copy is whole: commit %.12s. Whether there is a newer one is not known.\n", r.Offline, n, r.Commit)
	case r.Fetched == 0:
		fmt.Fprintf(w, "%s is here already: commit %.12s, %s\n", n, r.Commit, megabytes(r.Bytes))
	default:
		fmt.Fprintf(w, "%s is here: commit %.12s, %s, of which %s came over the network\n", n, r.Commit, megabytes(r.Bytes), megabytes(r.Fetched))
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "tokenizer.json")); err != nil {
		fmt.Fprintln(w, "It has no tokenizer.json: only token ids can be given to it, no text.")
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.Dir)
	return nil
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the models that were pulled", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := hub.CacheDir(os.Getenv)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			found, err := hub.List(cache)
			if err != nil {
				return fail(exitMachine, "%w", err)
			}
			if len(found) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "no whole model in %s: fetch one with paceline model pull ORG/NAME\n", cache)
				return nil
			}
			return printModels(cmd.OutOrStdout(), found)
		},
	}
}

func printModels(w io.Writer, found []hub.Snapshot) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tCOMMIT\tSIZE\tFORMAT\tBITS\tREAD A TOKEN\tFOLDER")
	for _, s := range found {
		fmt.Fprintf(t, "%s\t%.12s\t%s\t%s\t%s\n", s.Name, s.Commit, megabytes(s.Bytes), formatOf(s.Dir), s.Dir)
	}
	return t.Flush()
}

// formatOf is how a model stores its weights, the bits of each, and what one token reads; dashes
// for one that this engine can't run.
func formatOf(dir string) string {
	c, err := model.Open(dir)
	if err != nil {
		return "-\t-\t-"
	}
	defer c.Close()
	in := c.Inspect()
	return fmt.Sprintf("%s\t%.2f\t%s", in.DType, in.Bits, megabytes(in.StepBytes))
}

// pullDisplay shows a pull: on a terminal one line that is redrawn, else a line at each
// tenth of a large file and one a file.
type pullDisplay struct {
	w     io.Writer
	width int // columns of the terminal; 0: it is none
	now   func() time.Time

	began time.Time
	shown time.Time
	last  string // said last, to say nothing twice
	drawn bool
}

func newPullDisplay(w io.Writer, width int) *pullDisplay {
	return &pullDisplay{w: w, width: width, now: time.Now}
}

func (d *pullDisplay) update(p hub.Progress) {
	now := d.now()
	if d.began.IsZero() {
		d.began = now
	}
	whole := p.FileDone == p.FileSize
	if d.width == 0 {
		step := ""
		if large := p.FileSize >= 32<<20; large && !whole && p.FileDone > 0 {
			step = fmt.Sprintf(" %d %%", 100*p.FileDone/p.FileSize/10*10)
		}
		said := fmt.Sprint(p.File, step, p.Waiting, whole)
		if said == d.last || !p.Waiting && step == "" && !whole {
			return
		}
		d.last = said
		fmt.Fprintln(d.w, pullLine(p, now.Sub(d.began), 0))
		return
	}
	if now.Sub(d.shown) < 80*time.Millisecond && p.Done != p.Total && !p.Waiting {
		return
	}
	d.shown, d.drawn = now, true
	fmt.Fprintf(d.w, "\r\x1b[K%s", cut(pullLine(p, now.Sub(d.began), d.width), d.width))
}

// end leaves the terminal's line to what comes next.
func (d *pullDisplay) end() {
	if d.drawn {
		fmt.Fprint(d.w, "\r\x1b[K")
	}
}

// pullLine says where a pull stands after so long: on a terminal of so many columns
// with a bar; without one (0) about the file alone.
func pullLine(p hub.Progress, after time.Duration, width int) string {
	if p.Waiting {
		return fmt.Sprintf("waiting for another program that fetches %s", p.File)
	}
	rate := float64(p.Done-p.Here) / max(after.Seconds(), 1e-3) // bytes a second
	speed := ""
	if after >= time.Second && rate > 0 {
		speed = fmt.Sprintf("  %s/s", megabytes(int64(rate)))
	}
	if width == 0 {
		if p.FileDone < p.FileSize {
			return fmt.Sprintf("%s  %d %% of %s%s", p.File, 100*p.FileDone/p.FileSize, megabytes(p.FileSize), speed)
		}
		return fmt.Sprintf("%s  %s%s", p.File, megabytes(p.FileSize), speed)
	}
	if speed != "" && p.Weights && p.Done < p.Total {
		speed += fmt.Sprintf("  %s left", clock(float64(p.Total-p.Done)/rate))
	}
	share := 1.0
	if p.Total > 0 {
		share = float64(p.Done) / float64(p.Total)
	}
	bar := min(30, max(8, width-len(p.File)-55))
	return fmt.Sprintf("%s  %s %3.0f %%  %s of %s%s", p.File, blocks(share, bar), 100*share, megabytes(p.Done), megabytes(p.Total), speed)
}

// megabytes writes a size as people read it.
func megabytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 10e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
