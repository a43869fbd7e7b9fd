package driver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// TestHeader holds the table, the structures and the numbers against NVIDIA's own cuda.h: a compiler that reads both
// finds nothing to object to.
func TestHeader(t *testing.T) {
	home := os.Getenv("PACELINE_CUDA_HOME")
	if home == "" {
		t.Skip("no cuda.h: PACELINE_CUDA_HOME isn't set")
	}
	cxx, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("no g++")
	}
	check := func(source string) (string, error) {
		path := filepath.Join(t.TempDir(), "check.cpp")
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(cxx, "-std=gnu++17", "-fsyntax-only", "-I"+filepath.Join(home, "include"), path).CombinedOutput()
		return string(out), err
	}
	if out, err := check(headerCheck()); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// A wrong type is found, so the check checks.
	wrong := strings.Replace(headerCheck(), "CUresult (*)(CUdeviceptr*, size_t)", "CUresult (*)(CUdeviceptr*, unsigned)", 1)
	if _, err := check(wrong); err == nil {
		t.Error("a wrong signature of cuMemAlloc wasn't found")
	}
}

// headerCheck is a program that compiles only if everything is as in the header.
func headerCheck() string {
	var b strings.Builder
	// Without the header's own renaming of functions, so that each name is itself.
	b.WriteString("#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n#include <cstddef>\n#include <type_traits>\n")
	for e, s := range table() {
		for _, name := range s.names {
			fmt.Fprintf(&b, "static_assert(std::is_same<decltype(&::%s), %s (*)(%s)>::value, \"entry %d\");\n", name, s.result, s.params, e)
		}
	}
	size := func(c string, n uintptr) {
		fmt.Fprintf(&b, "static_assert(sizeof(%s) == %d, \"size of %s\");\n", c, n, c)
	}
	at := func(c, field string, n uintptr) {
		fmt.Fprintf(&b, "static_assert(offsetof(%s, %s) == %d, \"%s.%s\");\n", c, field, n, c, field)
	}
	var l launchConfig
	size("CUlaunchConfig", unsafe.Sizeof(l))
	at("CUlaunchConfig", "blockDimX", unsafe.Offsetof(l.block))
	at("CUlaunchConfig", "sharedMemBytes", unsafe.Offsetof(l.shared))
	at("CUlaunchConfig", "hStream", unsafe.Offsetof(l.stream))
	at("CUlaunchConfig", "attrs", unsafe.Offsetof(l.attributes))
	at("CUlaunchConfig", "numAttrs", unsafe.Offsetof(l.count))
	var a launchAttribute
	size("CUlaunchAttribute", unsafe.Sizeof(a))
	at("CUlaunchAttribute", "value", unsafe.Offsetof(a.value))
	var k kernelNode
	size("CUDA_KERNEL_NODE_PARAMS_v2", unsafe.Sizeof(k))
	size("CUDA_KERNEL_NODE_PARAMS_v3", unsafe.Sizeof(k))
	for _, c := range []string{"CUDA_KERNEL_NODE_PARAMS_v2", "CUDA_KERNEL_NODE_PARAMS_v3"} {
		at(c, "gridDimX", unsafe.Offsetof(k.grid))
		at(c, "blockDimX", unsafe.Offsetof(k.block))
		at(c, "sharedMemBytes", unsafe.Offsetof(k.shared))
		at(c, "kernelParams", unsafe.Offsetof(k.params))
		at(c, "extra", unsafe.Offsetof(k.extra))
		at(c, "kern", unsafe.Offsetof(k.kernel))
		at(c, "ctx", unsafe.Offsetof(k.context))
	}
	var n nodeParams
	size("CUgraphNodeParams", unsafe.Sizeof(n))
	at("CUgraphNodeParams", "kernel", unsafe.Offsetof(n.kernel))
	at("CUgraphNodeParams", "reserved2", unsafe.Offsetof(n.last))
	var d edgeData
	size("CUgraphEdgeData", unsafe.Sizeof(d))
	at("CUgraphEdgeData", "type", unsafe.Offsetof(d.kind))
	size("CUuuid", 16)
	size("CUtensorMap", unsafe.Sizeof(TensorMap{}))
	for c, v := range map[string]int{
		"CU_DEVICE_ATTRIBUTE_CLOCK_RATE": attrClock, "CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT": attrSMs, "CU_DEVICE_ATTRIBUTE_COMPUTE_MODE": attrComputeMode,
		"CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE": attrL2, "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": attrMajor, "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": attrMinor,
		"CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": attrSharedOptin, "CU_COMPUTEMODE_PROHIBITED": computeProhibits,
		"CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK": funcMaxThreads, "CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES": funcShared, "CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES": funcLocal,
		"CU_FUNC_ATTRIBUTE_NUM_REGS": funcRegisters, "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": funcMaxDynamic,
		"CU_LAUNCH_ATTRIBUTE_COOPERATIVE": launchCooperates, "CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION": launchOverlaps,
		"CU_MEMHOSTALLOC_PORTABLE": hostPortable, "CU_MEMHOSTALLOC_DEVICEMAP": hostMapped, "CU_STREAM_NON_BLOCKING": streamNonBlocking,
		"CU_EVENT_BLOCKING_SYNC": eventBlocking, "CU_EVENT_DISABLE_TIMING": eventNoTiming, "CU_GRAPH_NODE_TYPE_KERNEL": nodeKernel,
		"CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC": edgeOverlaps, "CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC": portOverlaps,
		"CU_TENSOR_MAP_DATA_TYPE_BFLOAT16": tensorBF16, "CU_TENSOR_MAP_INTERLEAVE_NONE": tensorPlain, "CU_TENSOR_MAP_SWIZZLE_128B": tensorSwizzle128,
		"CU_TENSOR_MAP_L2_PROMOTION_L2_128B": tensorPromote128, "CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE": tensorZeros,
		"CU_JIT_ERROR_LOG_BUFFER": jitErrorBuffer, "CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES": jitErrorSize, "CUDA_ERROR_NOT_READY": notReady,
	} {
		fmt.Fprintf(&b, "static_assert((int)%s == %d, \"%s\");\n", c, v, c)
	}
	return b.String()
}

// TestTable: no entry is forgotten, none stands twice, and none takes more arguments than there is room for.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for e, s := range table() {
		if len(s.names) == 0 || s.params == "" {
			t.Fatalf("entry %d has no name or no type", e)
		}
		if n := strings.Count(s.params, ",") + 1; n > maxArgs {
			t.Errorf("%s takes %d arguments, there is room for %d", s.names[0], n, maxArgs)
		}
		for _, name := range s.names {
			if seen[name] {
				t.Errorf("%s stands twice", name)
			}
			seen[name] = true
		}
	}
}
