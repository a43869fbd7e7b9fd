//go:build native

package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/engine/sched"
)

// workload is nano-vllm's: 256 requests at once, prompts of 100 to 1,024 random tokens and as many of output, by the
// scheduler that the engine has.
func (m *measure) workload() error {
	requests, least, most := 256, 100, 1024
	if m.smoke {
		requests, least, most = 3, 2, 9
	}
	rng := rand.New(rand.NewPCG(1, 256))
	loop := sched.New(m.b, sched.Options{})
	defer loop.Close()
	var ends sync.WaitGroup
	total, failed := 0, make(chan error, requests)
	power := watchPower(m.info.UUID)
	started := time.Now()
	for range requests {
		ids := make([]int32, least+rng.IntN(most-least+1))
		for i := range ids {
			ids[i] = int32(rng.IntN(m.b.Info().VocabSize))
		}
		n := least + rng.IntN(most-least+1)
		total += n
		ends.Add(1)
		err := loop.Submit(context.Background(), sched.Job{Prompt: ids, MaxTokens: n, NoCache: true, Sink: sink(func(r sched.Result) {
			if r.Reason != sched.ReasonLength {
				failed <- fmt.Errorf("a request of the workload ended with %d of %d tokens: %w", r.OutputTokens, n, r.Err)
			}
			ends.Done()
		})})
		if err != nil {
			return err
		}
	}
	ends.Wait()
	took := time.Since(started)
	watts, readings := power()
	select {
	case err := <-failed:
		return err
	default:
	}
	f := figure{What: "workload", Batch: requests, Times: 1, Median: took, P90: took, Rate: float64(total) / took.Seconds()}
	if readings > 0 {
		f.Joules = watts / f.Rate
		f.Note = fmt.Sprintf("%.3f J for each token of output, by %d readings of the board's power, %.0f W", f.Joules, readings, watts)
	}
	m.add(f)
	return nil
}

// sink tells of a job's end.
type sink func(sched.Result)

func (sink) Token(int32, time.Time, bool) bool { return false }
func (s sink) Done(r sched.Result)             { s(r) }

// watchPower reads a GPU's power five times a second by NVIDIA's own program, where that is, until stop is called,
// which gives the mean in watts.
func watchPower(uuid string) (stop func() (watts float64, readings int)) {
	none := func() (float64, int) { return 0, 0 }
	cmd := exec.Command("nvidia-smi", "-i", uuid, "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-lms", "200")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return none
	}
	var sum float64
	n, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if w, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64); err == nil {
				sum, n = sum+w, n+1
			}
		}
	}()
	return func() (float64, int) {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
		if n == 0 {
			return 0, 0
		}
		return sum / float64(n), n
	}
}
