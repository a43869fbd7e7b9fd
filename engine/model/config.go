package model

// Config is a model's architecture, after either dialect of config.json was read.
type Config struct {
	Architecture     string  // "Qwen2ForCausalLM"
	VocabSize        int     // rows of the embedding
	HiddenSize       int     // width of the residual stream
	IntermediateSize int     // width of the gated MLP
	Layers           int     // transformer blocks
	Heads            int     // query heads
	KVHeads          int     // key/value heads; divides Heads
	HeadDim          int     // size of one head, in elements
	MaxPositions     int     // context length in tokens
	RopeTheta        float64 // base of the rotary embedding
	RMSNormEps       float64 // added to the mean square
	TieEmbeddings    bool    // the head is the embedding
	DType            string  // as stored: "bfloat16", "float32", "float16"
	BOS              int32   // -1 where the config names none
	EOS              []int32 // from generation_config.json, else config.json; may be empty
}
