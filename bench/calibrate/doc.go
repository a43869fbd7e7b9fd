// Package calibrate holds the load generator against a server of programmed timing that logs when it really wrote each
// token: what the client says, less what was, is the client's own part on this machine.
//
// The noise floor under a result (bench/harness) is another thing: what the client takes where there is no server at all.
package calibrate
