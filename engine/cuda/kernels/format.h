// format.h: how weights lie in memory, and how they become operand A.
//
// A matrix lies in tiles of 16 rows and 16 columns, row tile by row tile. Operand A of mma.m16n8k16 is four registers of
// two bf16 numbers in each lane. With r = lane/4 and q = lane%4 they hold columns 4q and 4q+1 of row r (a0) and
// of row r+8 (a1), and columns 4q+2 and 4q+3 of both (a2, a3), when the columns of the tile are taken in an order of
// their own, which activations follow: a lane reads columns 4q to 4q+3 of a row at once. A sum doesn't mind the
// order of its columns.
//
// A lane's 16 bytes, a chunk, hold these registers of one tile in bf16, of two tiles in W8 and of four in W4:
//   - BF16: a0 to a3 as they are.
//   - W8, two words a tile: bytes a0.lo, a1.lo, a0.hi, a1.hi and the same of a2 and a3; a byte is a sign and seven bits
//     of size. An element is its integer times the float32 of its row, which the end of the sum brings in.
//   - W4, one word a tile: four bits each of a0.lo, a1.lo, a2.lo, a3.lo, a0.hi, a1.hi, a2.hi, a3.hi; n means n−8. An element is
//     that times the binary16 of its row and of 128 columns.
// Integers up to 128 are exact in bf16, so a product is that of the weights as they are defined.
#pragma once
#include "step.h"

constexpr int BF16 = 0, W8 = 1, W4 = 2;
constexpr int GROUP_TILES = 8; // that share a scale in W4

DEV float of_half(u32 h) { return u2f(f2u(fmul_rn(u2f((h & 0x7fff) << 13), 5.192296858534828e33f)) | (h & 0x8000) << 16); }

// Two numbers of W8, in bytes 0 and 2.
DEV u32 of_sizes(u32 w) { return sub_bf16x2((w & 0x007f007fu) | 0x43004300u, 0x43004300u) | (w & 0x00800080u) << 8; }

// Registers of tile t of a chunk.
template <int F> DEV void unpack(u32 (&a)[4], const U4& w, int t) {
    if constexpr (F == BF16) {
        a[0] = w.x, a[1] = w.y, a[2] = w.z, a[3] = w.w;
    } else if constexpr (F == W8) {
        u32 lo = t ? w.z : w.x, hi = t ? w.w : w.y;
        a[0] = of_sizes(lo), a[1] = of_sizes(lo >> 8), a[2] = of_sizes(hi), a[3] = of_sizes(hi >> 8);
    } else {
        u32 v = t == 0 ? w.x : t == 1 ? w.y : t == 2 ? w.z : w.w;
        UNROLL
        for (int i = 0; i < 4; i++) a[i] = sub_bf16x2((v >> 4 * i & 0x000f000fu) | 0x43004300u, 0x43084308u);
    }
}

// Where a packed matrix lies, and its scales: of W8 one float32 a row, of W4 [row tiles][groups][8][2] binary16 of
// rows r and r+8.
struct Matrix {
    const u8* data;
    const void* scale;
};
DEV constexpr int groups_of(int k) { return (k / TILE + GROUP_TILES - 1) / GROUP_TILES; }
