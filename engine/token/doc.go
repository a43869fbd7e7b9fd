// Package token turns text into token ids and back, and conversations into the
// text that a model was trained on.
//
// It reads a model folder's own tokenizer.json, tokenizer_config.json,
// generation_config.json and chat template, in Hugging Face's formats. It is the
// only package that uses the native tokenizer library and the Jinja library: the
// first through the build tag native, so that everything else here (streaming,
// templates, configuration) is built and tested without C.
//
// It knows nothing of weights or of generation: engine/model reads those, and
// engine asks this package for ids, for text and for a Stream per request.
package token
