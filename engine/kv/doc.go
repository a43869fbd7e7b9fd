// Package kv decides which page of a backend's KV store belongs to which sequence: it
// gives pages to sequences as they grow, counts references, and keeps full pages of
// sequences that have ended for those that begin with the same tokens.
//
// # The prefix cache
//
// A full page is found by what it follows and by its own tokens: a chained hash over
// both leads to it, and the page before it and all of its tokens are compared, so that a
// collision costs nothing but the comparison. The hash is keyed at random for each
// process: nobody can prepare prompts that collide.
//
// A page is free, or used (some table holds it, maybe several), or cached: held by nobody, but
// found by its tokens. Free and cached pages are both available: when no page is free, the
// cached one that was used longest ago is taken. Nobody but its chain's last page can be that
// one: who holds a page holds all that come before it and gives the last one back first, so
// a page is always older than the page before it, and chains never break.
//
// Pages are shared only when they are full, and a full page is never written again.
//
// The package moves no data: the backend holds the pages (backend.Pages) and reads them
// through the tables that are kept here. engine/sched owns the Pool and says which
// positions are computed.
package kv
