package driver

// entry is a function of the driver that this package calls.
type entry int

const (
	cuInit entry = iota
	cuDriverGetVersion
	cuGetErrorName
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceGetUUID
	cuDeviceGetPCIBusID
	cuDeviceGetAttribute
	cuDeviceTotalMem
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuCtxSetCurrent
	cuCtxSynchronize
	cuMemGetInfo
	cuMemAlloc
	cuMemFree
	cuMemHostAlloc
	cuMemFreeHost
	cuMemHostGetDevicePointer
	cuMemcpyHtoD
	cuMemcpyDtoH
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemsetD8Async
	cuMemsetD32Async
	cuTensorMapEncodeTiled
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuFuncSetAttribute
	cuFuncGetAttribute
	cuOccupancyMaxActiveBlocks
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuStreamQuery
	cuStreamWaitEvent
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventQuery
	cuEventSynchronize
	cuEventElapsedTime
	cuLaunchKernelEx
	cuGraphCreate
	cuGraphDestroy
	cuGraphAddNode
	cuGraphAddKernelNode
	cuGraphGetNodes
	cuGraphInstantiate
	cuGraphUpload
	cuGraphLaunch
	cuGraphExecDestroy
	entries // how many there are
)

// symbol is what an entry is called in the library, best name first, and its type in C. A test holds the
// types against NVIDIA's header.
type symbol struct {
	names    []string
	optional bool // drivers that this package still works with lack it
	result   string
	params   string
}

// table lists the entry points. Names that end in _v2 are what cuda.h makes of the plain ones; the plain ones are the
// interface of CUDA 2 with 32-bit sizes, or an older form of the function.
func table() [entries]symbol {
	one := func(name, params string) symbol { return symbol{[]string{name}, false, "CUresult", params} }
	may := func(name, params string) symbol { return symbol{[]string{name}, true, "CUresult", params} }
	return [entries]symbol{
		cuInit:                    one("cuInit", "unsigned int"),
		cuDriverGetVersion:        one("cuDriverGetVersion", "int*"),
		cuGetErrorName:            one("cuGetErrorName", "CUresult, const char**"),
		cuDeviceGetCount:          one("cuDeviceGetCount", "int*"),
		cuDeviceGet:               one("cuDeviceGet", "CUdevice*, int"),
		cuDeviceGetName:           one("cuDeviceGetName", "char*, int, CUdevice"),
		cuDeviceGetUUID:           {[]string{"cuDeviceGetUuid_v2", "cuDeviceGetUuid"}, false, "CUresult", "CUuuid*, CUdevice"},
		cuDeviceGetPCIBusID:       one("cuDeviceGetPCIBusId", "char*, int, CUdevice"),
		cuDeviceGetAttribute:      one("cuDeviceGetAttribute", "int*, CUdevice_attribute, CUdevice"),
		cuDeviceTotalMem:          one("cuDeviceTotalMem_v2", "size_t*, CUdevice"),
		cuDevicePrimaryCtxRetain:  one("cuDevicePrimaryCtxRetain", "CUcontext*, CUdevice"),
		cuDevicePrimaryCtxRelease: {[]string{"cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxRelease"}, false, "CUresult", "CUdevice"},
		cuCtxSetCurrent:           one("cuCtxSetCurrent", "CUcontext"),
		cuCtxSynchronize:          one("cuCtxSynchronize", "void"),
		cuMemGetInfo:              one("cuMemGetInfo_v2", "size_t*, size_t*"),
		cuMemAlloc:                one("cuMemAlloc_v2", "CUdeviceptr*, size_t"),
		cuMemFree:                 one("cuMemFree_v2", "CUdeviceptr"),
		cuMemHostAlloc:            one("cuMemHostAlloc", "void**, size_t, unsigned int"),
		cuMemFreeHost:             one("cuMemFreeHost", "void*"),
		cuMemHostGetDevicePointer: one("cuMemHostGetDevicePointer_v2", "CUdeviceptr*, void*, unsigned int"),
		cuMemcpyHtoD:              one("cuMemcpyHtoD_v2", "CUdeviceptr, const void*, size_t"),
		cuMemcpyDtoH:              one("cuMemcpyDtoH_v2", "void*, CUdeviceptr, size_t"),
		cuMemcpyHtoDAsync:         one("cuMemcpyHtoDAsync_v2", "CUdeviceptr, const void*, size_t, CUstream"),
		cuMemcpyDtoHAsync:         one("cuMemcpyDtoHAsync_v2", "void*, CUdeviceptr, size_t, CUstream"),
		cuMemcpyDtoDAsync:         one("cuMemcpyDtoDAsync_v2", "CUdeviceptr, CUdeviceptr, size_t, CUstream"),
		cuMemsetD8Async:           one("cuMemsetD8Async", "CUdeviceptr, unsigned char, size_t, CUstream"),
		cuMemsetD32Async:          one("cuMemsetD32Async", "CUdeviceptr, unsigned int, size_t, CUstream"),
		cuTensorMapEncodeTiled: one("cuTensorMapEncodeTiled", "CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, "+
			"CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill"),
		cuModuleLoadDataEx:         one("cuModuleLoadDataEx", "CUmodule*, const void*, unsigned int, CUjit_option*, void**"),
		cuModuleUnload:             one("cuModuleUnload", "CUmodule"),
		cuModuleGetFunction:        one("cuModuleGetFunction", "CUfunction*, CUmodule, const char*"),
		cuFuncSetAttribute:         one("cuFuncSetAttribute", "CUfunction, CUfunction_attribute, int"),
		cuFuncGetAttribute:         one("cuFuncGetAttribute", "int*, CUfunction_attribute, CUfunction"),
		cuOccupancyMaxActiveBlocks: one("cuOccupancyMaxActiveBlocksPerMultiprocessor", "int*, CUfunction, int, size_t"),
		cuStreamCreate:             one("cuStreamCreate", "CUstream*, unsigned int"),
		cuStreamDestroy:            one("cuStreamDestroy_v2", "CUstream"),
		cuStreamSynchronize:        one("cuStreamSynchronize", "CUstream"),
		cuStreamQuery:              one("cuStreamQuery", "CUstream"),
		cuStreamWaitEvent:          one("cuStreamWaitEvent", "CUstream, CUevent, unsigned int"),
		cuEventCreate:              one("cuEventCreate", "CUevent*, unsigned int"),
		cuEventDestroy:             one("cuEventDestroy_v2", "CUevent"),
		cuEventRecord:              one("cuEventRecord", "CUevent, CUstream"),
		cuEventQuery:               one("cuEventQuery", "CUevent"),
		cuEventSynchronize:         one("cuEventSynchronize", "CUevent"),
		cuEventElapsedTime:         {[]string{"cuEventElapsedTime_v2", "cuEventElapsedTime"}, false, "CUresult", "float*, CUevent, CUevent"},
		cuLaunchKernelEx:           one("cuLaunchKernelEx", "const CUlaunchConfig*, CUfunction, void**, void**"),
		cuGraphCreate:              one("cuGraphCreate", "CUgraph*, unsigned int"),
		cuGraphDestroy:             one("cuGraphDestroy", "CUgraph"),
		// Edges that let a kernel begin before the one in front of it has ended came with CUDA 12.3.
		cuGraphAddNode:       may("cuGraphAddNode_v2", "CUgraphNode*, CUgraph, const CUgraphNode*, const CUgraphEdgeData*, size_t, CUgraphNodeParams*"),
		cuGraphAddKernelNode: one("cuGraphAddKernelNode_v2", "CUgraphNode*, CUgraph, const CUgraphNode*, size_t, const CUDA_KERNEL_NODE_PARAMS*"),
		cuGraphGetNodes:      one("cuGraphGetNodes", "CUgraph, CUgraphNode*, size_t*"),
		cuGraphInstantiate:   one("cuGraphInstantiateWithFlags", "CUgraphExec*, CUgraph, unsigned long long"),
		cuGraphUpload:        one("cuGraphUpload", "CUgraphExec, CUstream"),
		cuGraphLaunch:        one("cuGraphLaunch", "CUgraphExec, CUstream"),
		cuGraphExecDestroy:   one("cuGraphExecDestroy", "CUgraphExec"),
	}
}

// name is what an entry is called in messages: the name that programmers know.
func (e entry) name() string {
	names := table()[e].names
	return names[len(names)-1]
}
