package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/bench/calibrate"
	"github.com/paceline/paceline/bench/stat"
)

// control is a client as one would write it in an afternoon: a goroutine a slot, kept connections, one reader a line.
func control(ctx context.Context, o options) (calibrate.Reading, error) {
	body, err := json.Marshal(map[string]any{
		"model": "scripted", "stream": true, "max_tokens": o.tokens, "stream_options": map[string]any{"include_usage": true},
		"messages": []any{map[string]string{"role": "user", "content": calibrate.Prompt()}},
	})
	if err != nil {
		return calibrate.Reading{}, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.slots}}
	var next atomic.Int64
	var mu sync.Mutex // guards what follows
	var r calibrate.Reading
	var ttft, tpot []float64
	var tokens int
	var busy time.Duration
	var wait sync.WaitGroup
	start := time.Now()
	for range o.slots {
		wait.Go(func() {
			for next.Add(1) <= int64(o.requests) && ctx.Err() == nil {
				at := time.Now()
				first, last, n, err := ask(ctx, client, o.url, body)
				mu.Lock()
				if r.Requests++; err != nil || n == 0 {
					r.Errors++
				} else {
					ttft = append(ttft, first.Sub(at).Seconds()*1e3)
					if n > 1 {
						tpot = append(tpot, last.Sub(first).Seconds()*1e3/float64(n-1))
					}
					tokens += n
					busy += last.Sub(at)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	took := time.Since(start).Seconds()
	r.Window = took
	r.TTFTms, r.TPOTms = stat.Median(ttft), stat.Median(tpot)
	r.Rate, r.TokensRate, r.Concurrency = float64(r.Requests)/took, float64(tokens)/took, busy.Seconds()/took
	return r, ctx.Err()
}

// ask sends one request and gives when its first and its last token came, and how many.
func ask(ctx context.Context, client *http.Client, url string, body []byte) (first, last time.Time, n int, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return first, last, 0, err
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := client.Do(q)
	if err != nil {
		return first, last, 0, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return first, last, 0, fmt.Errorf("status %d", a.StatusCode)
	}
	lines := bufio.NewReaderSize(a.Body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		at := time.Now()
		if data, found := bytes.CutPrefix(line, []byte("data: {")); found {
			var v struct {
				Choices []struct{ Delta struct{ Content string } }
			}
			if err := json.Unmarshal(append([]byte("{"), data...), &v); err != nil {
				return first, last, n, err
			}
			if len(v.Choices) > 0 && v.Choices[0].Delta.Content != "" {
				if n++; n == 1 {
					first = at
				}
				last = at
			}
		}
		if err != nil {
			return first, last, n, nil
		}
	}
}
