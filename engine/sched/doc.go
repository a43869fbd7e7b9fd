// Package sched is the engine's loop: it decides which rows of which sequences the next
// step computes, lets the backend compute them, and hands every token to its request.
//
// Batching is continuous: requests join and leave between steps. The decision is the pure
// function Decide; core applies it, step by step and by any clock; Loop gives core a goroutine that
// is locked to its thread and is the only one to touch the backend and the pages.
//
// # Who goes first
//
// Jobs of a higher priority start before those of a lower one, and take their place and memory if
// they must. Within a priority the owners of jobs take turns, one job each, and jobs of one
// owner start in the order in which they came. Nobody else is let past a job that waits for
// memory. So a job of which k others of its owner were waiting when it came is overtaken, within
// its priority, by at most k later jobs of each other owner: with nothing of its own before
// it, by none. Lower priorities wait for as long as higher ones keep the engine full.
//
// # Memory
//
// A job starts when the pages of its prompt are available, and one page more for each
// running sequence that may yet grow. It then takes pages one by one. When none is left, the last
// of the running sequences, by priority and then by start, gives all of its own back: it waits again,
// at the head of its priority, and computes anew what the prefix cache no longer has. Tokens
// handed out stay as they are. The first of the running sequences is never the last, unless it is
// alone, and alone it fits (Submit has made sure): so it always ends, then the next does, and so on.
//
// # Two steps in flight
//
// Where a backend takes two, a step of which everything is known but the tokens goes off before
// the one before it is collected: each row feeds what the row before it draws (backend.Row.Chained),
// and a device never waits for the host. Whatever has to be decided, for a new job above all, waits for
// one step more than it would otherwise. A job that ends in between has computed one token in vain.
//
// What a request gets doesn't depend on what else is in its batches: a token is drawn by
// (seed, position) and backends are batch-invariant. Neighbours: engine/kv owns the pages,
// engine/backend computes, engine above it turns jobs into streams of text and knows end tokens
// and stop texts.
package sched
