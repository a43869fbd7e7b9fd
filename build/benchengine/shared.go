package main

import (
	"errors"
	"time"
)

// sharedRate is tokens a second over all streams while all of them decode. times are the
// instants of each stream's tokens, at least one each, in their order.
func sharedRate(times [][]time.Time) (float64, error) {
	var from, to time.Time
	for i, t := range times {
		first, last := t[0], t[len(t)-1]
		if i == 0 || first.After(from) {
			from = first
		}
		if i == 0 || last.Before(to) {
			to = last
		}
	}
	if !from.Before(to) {
		return 0, errors.New("the streams never decoded all at once: one ended before another began")
	}
	n := 0
	for _, stream := range times {
		for _, t := range stream {
			if t.After(from) && !t.After(to) {
				n++
			}
		}
	}
	return float64(n) / to.Sub(from).Seconds(), nil
}

// promptIDs are the ids that every program of the comparison takes, where it can be told.
func promptIDs(n, salt, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*7919 + 13 + salt*101) % vocab)
	}
	return ids
}
