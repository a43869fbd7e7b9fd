// Package hub brings checkpoints from a model hub (huggingface.co, or a mirror that
// answers as it does) into the cache that Python's huggingface_hub uses as well, and
// finds them there.
//
// A pull asks for the newest commit of a revision, downloads the files that the engine
// reads, proves each by the digest that the hub names, and only then links them into the
// commit's folder. What is cut short goes on where it stopped. Answers come from
// strangers: names, sizes and lengths are checked before anything is done with them.
//
// It leaves what is in the files to engine/model, and how progress looks to its caller.
package hub
