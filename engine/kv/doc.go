// Package kv decides which page of a backend's KV store belongs to which sequence: it
// allocates and frees pages, counts references, and promises pages to a sequence
// before it starts so that it never stops half-way for want of one.
//
// It moves no data: the backend holds the pages (backend.Pages) and reads them
// through the tables that this package keeps. engine/sched owns the Pool and asks
// for pages as sequences grow.
package kv
