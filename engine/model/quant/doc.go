// Package quant turns matrices into eight or four bits: how a scale is chosen for the
// numbers that share it, and which number stands for each.
//
// engine/model defines what the result looks like (model.W8, model.W4); engine/ref and other
// backends ask this package when weights are to be quantised as they are loaded, and Folder
// writes a quantised model. What a matrix multiplies, which GPTQ looks at, comes from
// engine/ref.Observe through its caller. Nothing here depends on the number of processors or on
// their kind: equal weights give equal bits.
package quant
