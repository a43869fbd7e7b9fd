// Package load decides when requests are sent, and records when things happened.
//
// Run holds a bounded number of requests in flight, each slot asking a Source for
// its next turn; Arrivals are the schedule of an open load; a Recorder keeps the instants of one request without allocating
// on the way; a Pulse measures how late this process's own timers fire, which is
// what the generator can't see of itself.
//
// What is sent and what becomes of the instants is bench/harness's; who answers is
// bench/target's.
package load
