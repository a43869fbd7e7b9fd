// Package agent is the machine's side of the fleet: it asks a coordinator for
// work, supervises a worker process for each round, brackets the round with the
// machine probe, keeps results on disk until they are acknowledged, and reports.
//
// It links no engine: whatever is measured runs in worker processes (package
// worker), which may be other builds of Paceline. It never meets the coordinator
// but over internal/bus with the messages of internal/wire.
//
//	          claim                beat 1 answered         last round
//	idle ───────────────▶ leased ──────────────▶ running ────────────▶ uploading ──▶ idle
//	  ▲                     │ must_stop             │ must_stop             │ all acknowledged, end
//	  └─────────────────────┴───────────────────────┴──────────────────────┘
package agent
