package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/build/benchengine/output"
	"github.com/paceline/paceline/build/benchengine/plan"
	"github.com/paceline/paceline/internal/proc"
)

// taskTimeout bounds one measurement; the slowest of the table takes about a minute.
const taskTimeout = 10 * time.Minute

// measureAll takes all turns and gives their samples, those that failed with their reason.
// A task that failed isn't tried again: its later turns are left out, and those of the whole
// row where the engine can't do its part. It ends early with what it has when ctx ends.
func measureAll(ctx context.Context, rows []plan.Row, rounds int, programs output.Programs, m *machine, say func(string, ...any)) []plan.Sample {
	var samples []plan.Sample
	failed := map[plan.Turn]bool{} // without its round
	shown := -1
	probe := m.read(ctx)
	for _, turn := range plan.Turns(rows, rounds) {
		task := plan.Turn{Row: turn.Row, Task: turn.Task}
		if failed[task] {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		row := rows[turn.Row]
		if turn.Row != shown {
			say("%s", row.Title)
			shown = turn.Row
		}
		s := plan.Sample{Row: row.ID, Round: turn.Round + 1, Task: turn.Task}
		before := m.now()
		r, cpu, err := measure(ctx, turn.Task, programs)
		s.StealShare, s.OtherShare = m.since(before, cpu)
		after := m.read(ctx)
		s.ProbeGBs = (probe + after) / 2
		probe = after
		if ctx.Err() != nil {
			break // cut short: neither a figure nor the program's fault
		}
		unit, _ := turn.Task.Kind.Unit()
		if err != nil {
			s.Error = err.Error()
			failed[task] = true
			if turn.Task == row.Ours && errors.Is(err, output.ErrUnsupported) {
				for _, t := range row.Tasks() {
					failed[plan.Turn{Row: turn.Row, Task: t}] = true
				}
			}
			say("  %d/%d %-34s %v", turn.Round+1, rounds, turn.Task, err)
		} else {
			s.Value, s.BytesPerToken, s.NeededBytes, s.Note = r.Value, r.BytesPerToken, r.NeededBytes, r.Note
			say("  %d/%d %-34s %9.2f %-5s  probe %.1f GB/s  others %.0f %%", turn.Round+1, rounds, turn.Task, s.Value, unit, s.ProbeGBs, 100*s.OtherShare)
		}
		samples = append(samples, s)
	}
	return samples
}

// measure runs one task as a process of its own and gives its figure and its CPU time.
func measure(ctx context.Context, t plan.Task, programs output.Programs) (output.Reading, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, taskTimeout, fmt.Errorf("it took longer than %v", taskTimeout))
	defer cancel()
	port := 0
	if t.Kind == plan.TTFT {
		var err error
		if port, err = proc.FreePort(); err != nil {
			return output.Reading{}, 0, err
		}
	}
	args, err := programs.Command(t, port)
	if err != nil {
		return output.Reading{}, 0, err
	}
	began := time.Now()
	child, err := proc.Start(ctx, proc.Options{Args: args})
	if err != nil {
		return output.Reading{}, 0, err
	}
	if t.Kind == plan.TTFT {
		r, err := measureServer(ctx, t, child, port, programs.Vocabulary)
		child.Terminate(5 * time.Second)
		cpu, _ := child.Usage()
		return r, cpu, err
	}
	out, first, readErr := readAll(child.Stdout)
	err = child.Wait()
	cpu, _ := child.Usage()
	switch {
	case ctx.Err() != nil:
		return output.Reading{}, cpu, context.Cause(ctx)
	case err != nil:
		return output.Reading{}, cpu, fmt.Errorf("%s: %w", args[0], err)
	case readErr != nil:
		return output.Reading{}, cpu, fmt.Errorf("read what %s prints: %w", args[0], readErr)
	}
	r, err := output.Read(t, out)
	if err == nil && t.Kind == plan.Start {
		r.Value = first.Sub(began).Seconds()
	}
	return r, cpu, err
}

// measureServer gives the median time to first token of a server that was just started.
func measureServer(ctx context.Context, t plan.Task, child *proc.Child, port, vocabulary int) (output.Reading, error) {
	told := make(chan []byte, 1)
	go func() { // it must be read, or the server would block one day
		out, _, _ := readAll(child.Stdout)
		told <- out
	}()
	address := fmt.Sprintf("http://127.0.0.1:%d", port)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	if err := awaitReady(ctx, client, address, child.Ended()); err != nil {
		select {
		case <-child.Ended():
			// Our own server ends at once where it can't do the task, and says why.
			if _, said := output.Read(t, <-told); errors.Is(said, output.ErrUnsupported) {
				return output.Reading{}, said
			}
			return output.Reading{}, errors.Join(err, child.Wait())
		default:
			return output.Reading{}, err
		}
	}
	times, err := timesToFirst(ctx, client, address, t.Prompt, vocabulary)
	if err != nil {
		return output.Reading{}, err
	}
	return output.Reading{Value: stat.Median(times), Note: fmt.Sprintf("median of %d requests", len(times))}, nil
}

// readAll reads all of r, and tells when the first line had come.
func readAll(r io.Reader) (all []byte, first time.Time, err error) {
	const most = 1 << 20
	b := bufio.NewReader(io.LimitReader(r, most))
	line, err := b.ReadBytes('\n')
	first = time.Now()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, first, err
	}
	rest, err := io.ReadAll(b)
	if err == nil && len(line)+len(rest) == most {
		err = fmt.Errorf("it is more than %d bytes", most)
	}
	return append(line, rest...), first, err
}
