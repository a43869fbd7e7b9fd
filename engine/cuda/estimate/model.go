package estimate

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// GPU is what the model knows of a device.
type GPU struct {
	Name      string
	Bandwidth float64 // bytes a second that copies reach, not the data sheet's
}

// GPUs are those of the table. The bandwidths were measured by copies on such machines.
func GPUs() []GPU { return []GPU{{"H100", 3.0e12}, {"H200", 4.3e12}} }

// Constants of the model. The gap between two kernels of a graph that may overlap is 2.2 µs by the one anchor that
// was published for such a path (Llama 1B on an H200: 100 kernels, 795 µs a step), and 1.3 µs by what Hopper's
// launches are said to cost; tensor cores give 600 TFLOP/s.
const (
	gapSlow = 2200 * time.Nanosecond
	gapFast = 1300 * time.Nanosecond
	flops   = 600e12
)

// Row is the model's answer for one batch.
type Row struct {
	GPU        string
	Weights    string
	Batch      int
	Floor      time.Duration // bytes over bandwidth
	Slow, Fast time.Duration // a step, with either gap
}

// TokensPerSecond of all sequences, for a step of d.
func (r Row) TokensPerSecond(d time.Duration) float64 { return float64(r.Batch) / d.Seconds() }

// Rows models decoding with a context of so many positions, in each format, at batches of 1, 8, 64 and 256.
func Rows(c model.Config, context int) ([]Row, error) {
	var rows []Row
	for _, g := range GPUs() {
		for _, f := range []kernels.Format{kernels.BF16, kernels.W8, kernels.W4} {
			s, err := kernels.ShapeOf(c, f)
			if err != nil {
				return nil, err
			}
			for _, batch := range []int{1, 8, 64, 256} {
				rows = append(rows, row(g, s, c, context, batch))
			}
		}
	}
	return rows, nil
}

func row(g GPU, s kernels.Shape, c model.Config, context, batch int) Row {
	floor := FloorOf(s, c.Layers, context)
	multiplied := int64(c.Layers)*int64(c.HiddenSize)*int64(2*c.QueryWidth()+2*c.KVWidth()+3*c.IntermediateSize) + int64(c.VocabSize)*int64(c.HiddenSize)
	seconds := func(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
	weights := seconds(float64(floor.Weights) / g.Bandwidth)
	kv := seconds(float64(floor.KV) * float64(batch) / g.Bandwidth)
	compute := seconds(2 * float64(multiplied) * float64(batch) / flops)
	step := max(weights, compute) + kv
	n := time.Duration(Launches(c.Layers, batch, false))
	return Row{GPU: g.Name, Weights: s.Weights.String(), Batch: batch, Floor: max(weights, compute) + kv, Slow: step + n*gapSlow, Fast: step + n*gapFast}
}

// Print writes the table for people, with what it is and what it isn't.
func Print(w io.Writer, c model.Config, context int) error {
	rows, err := Rows(c, context)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "MODELLED, not measured: decoding with %d layers %d wide at a context of %d positions, by the CUDA backend.\n", c.Layers, c.HiddenSize, context)
	fmt.Fprintf(w, "From counted bytes and %d launches a step (%d at batch 256), with %v to %v between two kernels; expect 10 %% either way at best,\n", Launches(c.Layers, 1, false), Launches(c.Layers, 256, false), gapFast, gapSlow)
	fmt.Fprintf(w, "and less speed at batches above 8, whose kernels are assumed and not modelled.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "GPU\tweights\tbatch\tfloor µs\tstep µs\ttok/s\tof the floor\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d–%d\t%.0f–%.0f\t%.0f–%.0f %%\t\n", r.GPU, r.Weights, r.Batch, r.Floor.Microseconds(), r.Fast.Microseconds(), r.Slow.Microseconds(),
			r.TokensPerSecond(r.Slow), r.TokensPerSecond(r.Fast), 100*r.Floor.Seconds()/r.Slow.Seconds(), 100*r.Floor.Seconds()/r.Fast.Seconds())
	}
	return t.Flush()
}
