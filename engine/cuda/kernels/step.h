// step.h: the parameter block of a step. The host writes one into memory that the device maps; the
// first kernel copies it to the device's own, where all others read it. Launch parameters are thus
// the same in every step, which is what lets a graph be replayed. engine/cuda/block.go has the same
// structures in Go; the kernel layout holds the two against each other.
#pragma once
#include "shape.h"

// Counts of a step's lists.
struct Counts {
    u32 tokens, heads, units, merges, pages, edits;
    u32 finish; // FINISH_HEAD or FINISH_SELECT: which kernel hands the tokens back
    u32 number; // of the step, from 1; what the host waits for
};

constexpr u32 FINISH_HEAD = 1, FINISH_SELECT = 2;

// One token that is fed.
struct Token {
    int id;       // or −1−i: the token that head i of the step before drew
    u32 position; // in its sequence
    u32 slot;     // page · 64 + position % 64
    u32 pad;
};

// A part of attention, for one KV head: the query heads of count consecutive tokens of a sequence
// over some of its pages.
struct Unit {
    u32 token, count; // the first of the tokens; of a whole unit up to ATT_WARPS · TILE_TOKENS, else up to TILE_TOKENS
    u32 kv;
    u32 first, pages; // pages of the sequence; first is 0 where the unit is whole
    u32 table;        // where the sequence's pages begin in the list of pages
    u32 part;         // where the result goes, of those that wait for a merge; WHOLE: to the output
    u32 pad;
};
constexpr u32 WHOLE = 0xffffffffu;

// Partial results of a token that are merged: part base + kv · splits + split, row of its tile.
struct Merge {
    u32 token, row, base, splits;
};

// A position after which the vocabulary's logits are computed.
struct Head {
    u32 token;
    u32 flags;
    u32 logits; // row of the logits that are kept, with KEEP
    u32 top_k;  // 0: all
    double inverse_temperature;
    u64 seed, position;
    float top_p; // 0: all
    float repetition;
    u32 edits, edit_count; // first of its edits
};
constexpr u32 KEEP = 1;   // logits are written to memory
constexpr u32 DRAW = 2;   // the head draws
constexpr u32 SELECT = 4; // the second pass draws, from the logits that are kept
constexpr u32 GREEDY = 8; // the greatest logit

struct Edit {
    int id;
    u32 repeat;
    float add;
    u32 pad;
};

// The lists of a block, on the host or on the device.
struct Lists {
    Counts* counts;
    Token* token;
    Unit* unit;
    Merge* merge;
    Head* head;
    u32* page;
    Edit* edit;
};

// Where column c of a row of activations lies for hopper.h: within sixteen, the pairs of numbers that a lane reads one after
// the other in linear.h are eight apart.
DEV constexpr int placed(int c) { return (c & ~15) | (c & 2) << 2 | (c >> 1 & 6) | (c & 1); }

// What the device hands back of a step; in memory that the host maps.
struct Drawn {
    u32 number; // of the last step that is here, written after its tokens
    u32 pad[15];
    int token[1]; // one a head
};
