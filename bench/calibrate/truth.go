package calibrate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/paceline/paceline/bench/stat"
)

// Reading is what a client says of its run.
type Reading struct {
	TTFTms      float64 `json:"ttft_ms"` // median
	TPOTms      float64 `json:"tpot_ms"` // median over requests
	TokensRate  float64 `json:"tokens_per_s"`
	Rate        float64 `json:"requests_per_s"`
	Concurrency float64 `json:"concurrency"` // kept, mean
	CPUms       float64 `json:"cpu_ms"`      // of the process, start and warm-up included
	PeakMiB     float64 `json:"peak_mib"`    // of the process
	Requests    int     `json:"requests"`
	Window      float64 `json:"window_s"` // that rates and concurrency are of
	Errors      int     `json:"errors"`
}

// Truths takes the log of a scripted server.
func Truths(ctx context.Context, url string) (log []Truth, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/truth", http.NoBody)
	if err != nil {
		return nil, err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, fmt.Errorf("ask the server what it did: %w", err)
	}
	defer a.Body.Close()
	return log, json.NewDecoder(a.Body).Decode(&log)
}

// True is what happened in a window that begins with the first of the last n requests of a log and lasts as long as a
// client says; requests before them were its warm-up, and may reach into the window.
func True(log []Truth, said Reading) Reading {
	slices.SortFunc(log, func(a, b Truth) int { return cmp.Compare(a.Received, b.Received) })
	own := max(len(log)-said.Requests, 0)
	if own == len(log) {
		return Reading{}
	}
	begin := log[own].Received
	end := begin + int64(said.Window*1e9)
	var ttft, tpot []float64
	var r Reading
	tokens, busy := 0, int64(0)
	for i, t := range log {
		last := t.Written[len(t.Written)-1]
		for _, at := range t.Written {
			if at > begin && at <= end {
				tokens++
			}
		}
		busy += max(min(last, end)-max(t.Received, begin), 0)
		if i >= own {
			ttft = append(ttft, float64(t.Written[0]-t.Received)/1e6)
			tpot = append(tpot, float64(last-t.Written[0])/1e6/float64(len(t.Written)-1))
			r.Requests++
		}
	}
	r.TTFTms, r.TPOTms, r.Window = stat.Median(ttft), stat.Median(tpot), said.Window
	r.TokensRate, r.Rate, r.Concurrency = float64(tokens)/said.Window, float64(r.Requests)/said.Window, float64(busy)/1e9/said.Window
	return r
}
