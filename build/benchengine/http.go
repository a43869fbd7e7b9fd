package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Requests of one sample of TTFT: the first ones warm the server.
const (
	ttftWarm     = 2
	ttftMeasured = 5
	readyTimeout = 2 * time.Minute
)

// timesToFirst are the times to first token, in milliseconds, of requests to a server that
// speaks OpenAI's API, each with a prompt of n ids of its own. The ids are ordinary tokens: special ones lie at the
// end of a vocabulary. The server must be ready.
func timesToFirst(ctx context.Context, client *http.Client, address string, n, vocabulary int) ([]float64, error) {
	var out []float64
	vocabulary -= vocabulary / 4
	for i := range ttftWarm + ttftMeasured {
		took, err := timeToFirst(ctx, client, address, promptIDs(n, i+1, vocabulary))
		if err != nil {
			return nil, fmt.Errorf("ask the server for a token: %w", err)
		}
		if i >= ttftWarm {
			out = append(out, took.Seconds()*1e3)
		}
	}
	return out, nil
}

// timeToFirst asks for one token and stops the clock at the first event with a choice. One
// token, so that a server can't hold it back for the sake of the text.
func timeToFirst(ctx context.Context, client *http.Client, address string, ids []int32) (time.Duration, error) {
	body, err := json.Marshal(map[string]any{"model": "bench", "prompt": ids, "max_tokens": 1, "temperature": 0, "stream": true})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return 0, fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	}
	took, err := firstChoice(resp.Body, began)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body) // the connection serves the next request
	return took, err
}

// firstChoice reads server-sent events until one has a choice.
func firstChoice(r io.Reader, began time.Time) (time.Duration, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		took := time.Since(began)
		var event struct {
			Choices []json.RawMessage `json:"choices"`
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return 0, fmt.Errorf("an event of the stream is no JSON: %w in %.100q", err, data)
		}
		if len(event.Choices) > 0 {
			return took, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, errors.New("the stream ended without a token")
}

// awaitReady waits until GET /health answers 200, or ended is closed.
func awaitReady(ctx context.Context, client *http.Client, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("the server was not ready after %v", readyTimeout))
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/health", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return errors.New("the server ended before it was ready")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
