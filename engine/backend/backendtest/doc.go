// Package backendtest is the conformance suite of backend.Backend: what the scheduler relies
// on, asked of every implementation in the same words.
//
// An implementation's test calls Run with a small model. The suite doesn't know whether
// the numbers are right, which golden files say; it knows that they must not depend on the batch,
// on the cutting of a prompt, on the pages or on what those held before, to the last bit.
package backendtest
