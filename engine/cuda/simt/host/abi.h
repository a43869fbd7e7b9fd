// abi.h: what a module of kernels, built for the emulator, offers the fake driver.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Results of a launch; CUDA's own numbers, and one for what hardware doesn't notice.
enum {
    SIMT_ADDRESS = 700,
    SIMT_TIMEOUT = 702,
    SIMT_MISALIGNED = 716,
    SIMT_FAILED = 719,
    SIMT_RACE = 9001,
};

typedef struct {
    uint32_t grid[3], block[3];
    uint32_t shared; // bytes, dynamic
    uint32_t cooperative;
    uint32_t os_threads;
    uint32_t number; // of the launch, in the order in which the host asked for it
    uint64_t seed;   // 0: in order
} simt_launch;

// What kernels did, by kernel.
typedef struct {
    uint64_t launches, blocks, threads;
    uint64_t mma, wgmma, ldmatrix, copies, bulks, shuffles, barriers, atomics;
    uint64_t read, written;                   // bytes of device memory, of checked modules
    uint64_t distinct_read, distinct_written; // each byte once a launch
} simt_counts;

// What the fake driver writes into a CUtensorMap: a matrix in device memory, and how a box of it comes to lie in shared
// memory: row by row, in the swizzle of 128 bytes.
typedef struct {
    uint64_t magic, address;
    uint64_t columns, rows, stride; // elements; bytes from a row to the next
    uint32_t box_columns, box_rows, size, pad; // size of an element in bytes
} simt_tensor;
#define SIMT_TENSOR 0x31524f534e45544dull

typedef struct {
    int version, checked;
    int (*find)(const char* name);              // the kernel's number, or −1
    const char* (*name)(int kernel);            // or null behind the last
    int (*params)(int kernel, uint32_t* sizes); // how many, of at most 16
    int (*launch)(int kernel, const simt_launch*, void** params, char* error, uint32_t size);
    // A launch that began before its time: some blocks run until they wait for the kernels before.
    void* (*early)(int kernel, const simt_launch*, void** params, uint32_t blocks);
    int (*resume)(void*, char* error, uint32_t size);
    // Memory of the device comes, goes, is written by the host.
    void (*region)(void* p, size_t n, int add, int written);
    void (*wrote)(void* p, size_t n);
    const simt_counts* (*counts)(int kernel);
    // Of an allocation, in a checked module: bytes read and written by kernels, and distinct ones, each byte once a launch.
    void (*traffic)(void* p, uint64_t out[4]);
    void (*forget)(void); // counts begin again
} simt_module;
