// Package serve offers an open engine over HTTP, by OpenAI's API: chat and plain
// completions, streamed or whole, with the engine's own account of their time.
//
// It decodes strictly: what a request asks for and the engine can't do is an error that
// names the parameter, because a server that drops a parameter in silence gives other
// figures than were asked for. The order of requests is the engine's; this package only
// bounds how many there are. It doesn't open or close engines, and knows nothing of
// benchmarks: bench/target/openai is a client like any other.
package serve
