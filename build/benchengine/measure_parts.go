//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/serve"
)

// streamsRate is tokens a second over all streams, while all of them decode: from the
// instant when the last has its first token to that when the first has its last.
func (d driver) streamsRate(ctx context.Context, e *engine.Engine) (float64, error) {
	if _, err := d.generate(ctx, e, d.prompt, 4, d.stream); err != nil {
		return 0, err
	}
	// All are queued before any is read: they begin as one.
	var streams []*engine.Stream
	for i := range d.stream {
		s, err := submit(ctx, e, d.prompt, d.decode+1, i)
		if err != nil {
			return 0, err
		}
		streams = append(streams, s)
	}
	times, errs := make([][]time.Time, len(streams)), make([]error, len(streams))
	var reading sync.WaitGroup
	for i, s := range streams {
		reading.Go(func() {
			var g generated
			g, errs[i] = collect(s, d.decode+1)
			times[i] = g.at
		})
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return sharedRate(times)
}

// serve offers the engine over HTTP until it is told to end.
func (d driver) serve(ctx context.Context, e *engine.Engine) error {
	s, err := serve.New(e, serve.Options{Name: "bench"})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", d.port))
	if err != nil {
		return err
	}
	if err := s.Serve(ctx, ln, time.Second); err != nil {
		return err
	}
	return errors.New("the server ended")
}

// sizes are bytes of a model's weights.
type sizes struct {
	all      int64 // once each
	perToken int64 // read to decode one token
}

// weightSizes is what format needs for a model, by its definition: W8 has a byte a number and
// an f32 scale a row, W4 half a byte and an f16 scale for 128 numbers with the embedding
// and the head in W8; bf16 has two bytes a number, and so have vectors in every format.
func weightSizes(c model.Config, format string) sizes {
	const group = 128
	var s sizes
	for _, t := range c.Tensors() {
		numbers := int64(1)
		for _, n := range t.Shape {
			numbers *= int64(n)
		}
		bytes := 2 * numbers
		head := t.Part == "embedding" || t.Part == "head"
		switch {
		case format == "bf16", len(t.Shape) == 1:
		case format == "w4" && !head:
			rows, columns := int64(t.Shape[0]), int64(t.Shape[1])
			bytes = numbers/2 + 2*rows*((columns+group-1)/group)
		default:
			bytes = numbers + 4*int64(t.Shape[0])
		}
		s.all += bytes
		if t.Part != "embedding" || c.TieEmbeddings {
			s.perToken += bytes
		}
	}
	return s
}
