// Package model reads checkpoints of language models and makes synthetic ones.
//
// A checkpoint is a folder in the style of the Hugging Face hub: config.json in
// either of its dialects, generation_config.json, and safetensors in one file or
// in shards with an index. Open checks everything that can be checked without
// reading the weights, so that a backend may trust names, shapes and types;
// Tensor then gives views into read-only mappings. What is read comes from
// strangers, so every limit is checked before anything is allocated.
//
// It leaves text to engine/token (tokenizer.json belongs to it), and packing and
// computing to the backends: engine/ref, engine/cpu and engine/cuda.
package model
