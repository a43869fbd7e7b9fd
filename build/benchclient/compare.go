package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/bench/calibrate"
)

// row is one setting in which the clients take turns.
type row struct {
	name     string
	slots    int
	requests int
	first    time.Duration
	gap      time.Duration
	ceiling  bool // the server answers at once: what is compared is the clients themselves
}

func rows(quick bool) []row {
	const first, gap = 50 * time.Millisecond, 10 * time.Millisecond
	all := []row{
		{name: "50 ms + 10 ms, 1 stream", slots: 1, requests: 20, first: first, gap: gap},
		{name: "50 ms + 10 ms, 8 streams", slots: 8, requests: 128, first: first, gap: gap},
		{name: "50 ms + 10 ms, 32 streams", slots: 32, requests: 512, first: first, gap: gap},
		{name: "no delay, 32 streams", slots: 32, requests: 4000, ceiling: true},
		{name: "no delay, 1,000 streams", slots: 1000, requests: 4000, ceiling: true},
	}
	if quick {
		for i := range all {
			all[i].requests = max(all[i].requests/8, 2*all[i].slots)
		}
	}
	return all
}

// sample is one turn of a client, and what the server says of it.
type sample struct {
	Row    string            `json:"row"`
	Client string            `json:"client"`
	Round  int               `json:"round"`
	Sent   int               `json:"sent"` // requests, warm-up included, as the server counts them
	Said   calibrate.Reading `json:"said"`
	True   calibrate.Reading `json:"true"` // from the server's log; CPU and memory are not in it
}

// compare runs all rows and prints the table.
func compare(ctx context.Context, o options, stdout, stderr io.Writer) error {
	var samples []sample
	for _, r := range rows(o.quick) {
		fmt.Fprintf(stderr, "%s\n", r.name)
		s, err := turns(ctx, r, o.rounds, stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		samples = append(samples, s...)
	}
	if o.jsonFile != "" {
		data, err := json.MarshalIndent(samples, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.jsonFile, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	return table(stdout, rows(o.quick), samples)
}

// turns lets the clients take turns on one server: ours, control, control, ours, …
func turns(ctx context.Context, r row, rounds int, stderr io.Writer) (samples []sample, err error) {
	url, stop, err := calibrate.Start(exec.CommandContext(ctx, os.Args[0], "-mode", "serve", "-tokens", "32", "-first", r.first.String(), "-gap", r.gap.String()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for round := range rounds {
		order := []string{"ours", "control"}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, client := range order {
			said, err := child(ctx, client, url, r)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", client, err)
			}
			log, err := calibrate.Truths(ctx, url)
			if err != nil {
				return nil, err
			}
			s := sample{r.name, client, round + 1, len(log), said, calibrate.True(log, said)}
			fmt.Fprintf(stderr, "  %d/%d %-8s %9.0f req/s  TTFT %.2f ms, in truth %.2f\n", round+1, rounds, client, said.Rate, said.TTFTms, s.True.TTFTms)
			samples = append(samples, s)
		}
	}
	return samples, nil
}

// child runs a client as a process of its own.
func child(ctx context.Context, client, url string, r row) (calibrate.Reading, error) {
	c := exec.CommandContext(ctx, os.Args[0], "-mode", client, "-url", url, "-slots", strconv.Itoa(r.slots), "-requests", strconv.Itoa(r.requests))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return calibrate.Reading{}, err
	}
	var said calibrate.Reading
	if err := json.Unmarshal(out, &said); err != nil {
		return said, fmt.Errorf("read what it says: %w", err)
	}
	if said.Errors > 0 {
		return said, fmt.Errorf("%d of %d requests failed", said.Errors, said.Requests)
	}
	return said, nil
}
