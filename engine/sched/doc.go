// Package sched is the engine's loop: it decides which rows of which sequences the next
// step computes, lets the backend compute them, and hands every token to its request.
//
// Batching is continuous: requests join and leave between steps. The decision is the pure
// function Decide; Loop applies it, on one goroutine that is locked to its thread and is
// the only one to touch the backend and the pages.
//
// What a request gets doesn't depend on what else is in its batches: a token is drawn by
// (seed, position) and backends are batch-invariant. Neighbours: engine/kv owns the pages,
// engine/backend computes, engine above it turns jobs into streams of text and knows end tokens
// and stop texts.
package sched
