package driver

// Structures and numbers of cuda.h; a test holds them against the header.

// launchAttribute is CUlaunchAttribute: an id and 64 bytes of value.
type launchAttribute struct {
	id    uint32
	_     uint32
	value [64]byte
}

// launchConfig is CUlaunchConfig.
type launchConfig struct {
	grid, block [3]uint32
	shared      uint32
	_           uint32
	stream      uintptr
	attributes  uintptr
	count       uint32
	_           uint32
}

// kernelNode is CUDA_KERNEL_NODE_PARAMS_v2, with which CUDA_KERNEL_NODE_PARAMS_v3 begins.
type kernelNode struct {
	function    uintptr
	grid, block [3]uint32
	shared      uint32
	_           uint32
	params      uintptr
	extra       uintptr
	kernel      uintptr
	context     uintptr
}

// nodeParams is CUgraphNodeParams.
type nodeParams struct {
	kind     uint32
	reserved [3]uint32
	kernel   kernelNode
	rest     [232 - 72]byte
	last     uint64
}

// edgeData is CUgraphEdgeData.
type edgeData struct {
	fromPort, _, kind uint8
	_                 [5]uint8
}

// TensorMap is CUtensorMap: how the device's copy engine finds a matrix. It is part of a kernel's parameters, at a multiple
// of 128 bytes.
type TensorMap [128]byte

const (
	attrClock        = 13 // CLOCK_RATE, kHz
	attrSMs          = 16 // MULTIPROCESSOR_COUNT
	attrComputeMode  = 20 // COMPUTE_MODE
	attrL2           = 38 // L2_CACHE_SIZE
	attrMajor        = 75 // COMPUTE_CAPABILITY_MAJOR
	attrMinor        = 76 // COMPUTE_CAPABILITY_MINOR
	attrSharedOptin  = 97 // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
	computeProhibits = 2  // CU_COMPUTEMODE_PROHIBITED

	funcMaxThreads   = 0 // CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
	funcShared       = 1 // SHARED_SIZE_BYTES
	funcLocal        = 3 // LOCAL_SIZE_BYTES
	funcRegisters    = 4 // NUM_REGS
	funcMaxDynamic   = 8 // MAX_DYNAMIC_SHARED_SIZE_BYTES
	launchCooperates = 2 // CU_LAUNCH_ATTRIBUTE_COOPERATIVE
	launchOverlaps   = 6 // CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION

	hostPortable = 1 // CU_MEMHOSTALLOC_PORTABLE
	hostMapped   = 2 // CU_MEMHOSTALLOC_DEVICEMAP

	streamNonBlocking = 1 // CU_STREAM_NON_BLOCKING
	eventBlocking     = 1 // CU_EVENT_BLOCKING_SYNC
	eventNoTiming     = 2 // CU_EVENT_DISABLE_TIMING

	nodeKernel   = 0 // CU_GRAPH_NODE_TYPE_KERNEL
	edgeOverlaps = 1 // CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC
	portOverlaps = 1 // CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC

	tensorBF16       = 9 // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
	tensorPlain      = 0 // CU_TENSOR_MAP_INTERLEAVE_NONE
	tensorSwizzle128 = 3 // CU_TENSOR_MAP_SWIZZLE_128B
	tensorPromote128 = 2 // CU_TENSOR_MAP_L2_PROMOTION_L2_128B
	tensorZeros      = 0 // CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE

	jitErrorBuffer = 5 // CU_JIT_ERROR_LOG_BUFFER
	jitErrorSize   = 6 // CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES
)
