package kernels

// Ptr is an address on the device.
type Ptr = uint64

// The structures of step.h, field for field.
type (
	// Counts are those of a step's lists.
	Counts struct {
		Tokens, Heads, Units, Merges, Pages, Edits uint32
		Finish                                     uint32 // FinishHead or FinishSelect
		Number                                     uint32
	}
	// Token is one token that is fed.
	Token struct {
		ID                  int32 // or −1−i: what head i of the step before drew
		Position, Slot, Pad uint32
	}
	// Unit is a part of attention.
	Unit struct{ Token, Count, KV, First, Pages, Table, Part, Pad uint32 }
	// Merge is a token whose parts are to be added up.
	Merge struct{ Token, Row, Base, Splits uint32 }
	// Head is a position after which logits are computed.
	Head struct {
		Token, Flags, Logits, TopK uint32
		InverseTemperature         float64
		Seed, Position             uint64
		TopP, Repetition           float32
		Edits, EditCount           uint32
	}
	// Edit is one changed logit.
	Edit struct {
		ID     int32
		Repeat uint32
		Add    float32
		Pad    uint32
	}
	// Matrix is where a packed matrix lies, and its scales.
	Matrix struct{ Data, Scale Ptr }
	// Lists are where a step's lists lie.
	Lists struct{ Counts, Token, Unit, Merge, Head, Page, Edit Ptr }
)

// Sizes in bytes.
const (
	CountsBytes = 32
	TokenBytes  = 16
	UnitBytes   = 32
	MergeBytes  = 16
	HeadBytes   = 56
	EditBytes   = 16
	BestBytes   = 16
	DrawnHeader = 64 // of what is handed back, before its tokens
)

// Values of fields.
const (
	FinishHead   = 1
	FinishSelect = 2

	Whole = 0xffffffff // of Unit.Part

	Keep   = 1 // of Head.Flags
	Draw   = 2
	Select = 4
	Greedy = 8
)

// The parameters of the kernels.
type (
	// BeginParams are those of begin.
	BeginParams struct {
		Host   [2]Lists
		Device Lists
		Table  Matrix
		Drawn  [2]Ptr
		X      Ptr
		Number Ptr
	}
	// QKVParams are those of norm_qkv and gemm_qkv.
	QKVParams struct {
		Step       Lists
		X, Norm    Ptr
		Matrix     Matrix
		Bias, Rope Ptr
		Q, K, V    Ptr
		Page       uint64 // elements
		In         Ptr    // of gemm_qkv
	}
	// AttentionParams are those of attention, attention_whole and merge.
	AttentionParams struct {
		Step      Lists
		Q, K, V   Ptr
		Page      uint64 // elements
		Out, Part Ptr
		Scale     float32
		Placed    uint32 // 1: Out is for the hopper kernels
	}
	// ProjectParams are those of output and down, in all their widths.
	ProjectParams struct {
		Step             Lists
		In               Ptr
		Matrix           Matrix
		X, Part, Arrived Ptr
		Tokens, Pad      uint32
	}
	// GateParams are those of norm_gate and gemm_gate.
	GateParams struct {
		Step    Lists
		X, Norm Ptr
		Matrix  Matrix
		Out     Ptr
		In      Ptr // of gemm_gate
	}
	// HopperParams are those of the hopper kernels: the map of what they read, in boxes of GemmTokens by HopperColumns,
	// and the parameters of the gemm kernel that does the same.
	HopperParams[P any] struct {
		In [128]byte
		P  P
	}
	// NormParams are those of normalise.
	NormParams struct {
		Step         Lists
		X, Norm, Out Ptr
		Placed, Pad  uint32 // 1: for the hopper kernels
	}
	// HeadParams are those of head.
	HeadParams struct {
		Step                  Lists
		X, Norm               Ptr
		Matrix                Matrix
		Logits, Best, Arrived Ptr
		Drawn, Out            [2]Ptr
		Number                Ptr
		DoneAt                uint32
		From, Most, Last      uint32
	}
	// SelectParams are those of select_rows.
	SelectParams struct {
		Step            Lists
		Logits          Ptr
		Drawn, Out      [2]Ptr
		Arrived, Number Ptr
		From, Most      uint32
		Last, Pad       uint32
	}
)
