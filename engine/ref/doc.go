// Package ref is the oracle: Qwen2 in plain Go and float64, written to be read
// beside the paper and to be believed. Other backends are held against its logits.
//
// Every output of a matrix product is one dot product whose order of summation
// depends on nothing but its length, and every position attends by the same loop,
// so the numbers of a row are the same, to the last bit, for any batch and any
// cutting of its prompt. Speed isn't its aim: one goroutine, no tiles, though also
// no work done twice.
//
// engine/model reads the weights, engine/sample draws tokens, engine/sched decides
// what is in a batch. engine/cpu and engine/cuda are the backends for speed.
package ref
