package quant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/model"
)

// Options say how Folder quantises a model.
type Options struct {
	Format    string    // one of Formats
	Algorithm Algorithm // empty: Search
	// Replace lets the result take the place of a model that is there.
	Replace bool
	// Inputs gives what a matrix of that name multiplies (see Compensated); for GPTQ only.
	Inputs func(name string) []float32
	// Progress, if not nil, is called with the bytes of source weights done and to do.
	Progress func(done, total int64)
}

// Report is what Folder made of what.
type Report struct {
	From   model.Inspection `json:"from"`
	To     model.Inspection `json:"to"`
	Digest string           `json:"digest"` // of the result (see model.Checkpoint.Digest)
}

// Folder quantises the model folder src to a new one, dst: whole, or not at all (see
// model.WriteFolder). Equal models give equal files. It needs memory for the largest tensor
// twice. ctx ends it between tensors.
func Folder(ctx context.Context, src, dst string, o Options) (_ Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("quantise %s to %s: %w", src, dst, err)
		}
	}()
	if o.Algorithm == "" {
		o.Algorithm = Search
	}
	if err := o.check(); err != nil {
		return Report{}, err
	}
	c, err := model.Open(src)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if q := c.Quantization; q != nil {
		return Report{}, fmt.Errorf("%w: it is quantised as %s already, and quantising twice adds the errors up: take the model that it was made of, with digest %s", model.ErrUnsupported, q.Weights, q.SourceDigest)
	}
	if same(src, dst) {
		return Report{}, fmt.Errorf("%w: that is the source itself: give another folder", model.ErrExists)
	}
	r := Report{From: c.Inspect()}
	folder := model.FolderOptions{Need: size(c, o.Format) + 64<<20, Replace: o.Replace}
	err = model.WriteFolder(dst, folder, func(temp string) error {
		digest, err := c.Digest()
		if err != nil {
			return err
		}
		q := model.Quantization{Weights: o.Format, GroupSize: model.GroupColumns, Head: "w8", Algorithm: string(o.Algorithm), SourceDigest: digest}
		if err := c.WriteQuantized(temp, q); err != nil {
			return err
		}
		return writeWeights(ctx, temp, c, o)
	})
	if err != nil {
		return Report{}, err
	}
	return r, r.look(dst)
}

// check reports what makes no sense with any model.
func (o Options) check() error {
	switch {
	case !slices.Contains(Formats(), o.Format):
		return fmt.Errorf("%w: format %q: want %s", model.ErrUnsupported, o.Format, strings.Join(Formats(), " or "))
	case o.Algorithm != RTN && o.Algorithm != Search && o.Algorithm != GPTQ:
		return fmt.Errorf("%w: algorithm %q: want %s, %s or %s", model.ErrUnsupported, o.Algorithm, RTN, Search, GPTQ)
	case o.Algorithm == GPTQ && o.Format != "w4":
		return fmt.Errorf("%w: %s is for w4: in %s there is next to nothing to make up for; take %s", model.ErrUnsupported, GPTQ, o.Format, Search)
	case o.Algorithm == GPTQ && o.Inputs == nil:
		return fmt.Errorf("%w: %s needs inputs to look at", model.ErrUnsupported, GPTQ)
	}
	return nil
}

// look fills in what the result is.
func (r *Report) look(dst string) (err error) {
	c, err := model.Open(dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r.To = c.Inspect()
	r.Digest, err = c.Digest()
	return err
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// size is the bytes of c's tensors in a format.
func size(c *model.Checkpoint, format string) int64 {
	n := int64(0)
	for _, want := range c.Config.Tensors() {
		if to := TypeOf(format, want.Name); to != "" {
			data, scales := to.PackedSizes(want.Shape[0], want.Shape[1])
			n += int64(data + scales)
		} else {
			n += 4 * int64(model.Tensor{Shape: want.Shape}.Len()) // or less
		}
	}
	return n
}

func writeWeights(ctx context.Context, dir string, c *model.Checkpoint, o Options) (err error) {
	w, err := model.NewWeightsWriter(dir, c, o.Format)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = w.Close()
		} else {
			_ = w.Close() // incomplete, and err says why
		}
	}()
	done, total := int64(0), c.Inspect().Bytes
	for _, want := range c.Config.Tensors() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t, err := c.Tensor(want.Name)
		if err != nil {
			return err
		}
		bytes := int64(len(t.Data))
		if to := TypeOf(o.Format, want.Name); to != "" {
			t, err = o.matrix(t, to)
		} else {
			err = t.CheckFinite()
		}
		if err != nil {
			return err
		}
		if err := w.Put(t); err != nil {
			return err
		}
		if done += bytes; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return nil
}

// matrix quantises one matrix. GPTQ is for what becomes W4; W8 leaves next to nothing to make up for.
func (o Options) matrix(t model.Tensor, to model.DType) (model.Tensor, error) {
	switch {
	case o.Algorithm != GPTQ:
		return Matrix(t, to, o.Algorithm)
	case to == model.W4:
		return Compensated(t, o.Inputs(t.Name))
	}
	return Matrix(t, to, Search)
}
