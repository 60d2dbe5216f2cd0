/* Context mixing (see mixing.c): what Python hands over (mixing.py has the same record), and what is kept.

   Source: Mahoney 2005, "Adaptive weighing of context models for lossless data compression" (PAQ). All of it is integer
   arithmetic: probabilities of a 1 in 65536ths, log-odds in 256ths of a nat, weights in 65536ths.
   Shapes: V symbols, V - 1 nodes of the code tree. */

#ifndef CHARRNN_MIXING_H
#define CHARRNN_MIXING_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER)
#define EXPORTED __declspec(dllexport)
#define INLINE __forceinline
#else
#define EXPORTED __attribute__((visibility("default")))
#define INLINE inline __attribute__((always_inline))
#endif

#define ONE 65536        /* a probability, or a weight, of 1 */
#define MOST_ODDS 2047   /* log-odds are cut here: 8 nats */
#define ODDS 3072        /* squash begins at minus so much */
#define CONTEXTS 39      /* see contexts.h */
#define PER_CONTEXT 5    /* inputs of each */
#define MATCHES 3
#define INPUTS 208       /* 39 x 5, 3 x 2, the network's 2 and a constant, and zeros */
#define NETWORK (CONTEXTS * PER_CONTEXT + 2 * MATCHES)
#define SETS 10          /* of weights, each chosen by a context of its own */
#define LAST_SETS 3      /* of those that mix what these give */
#define OUTPUTS 16       /* as many as sets, and zeros */
#define NODES_IN_BLOCK 7 /* three levels of the tree */
#define MOST_BLOCKS 22   /* of one context that a symbol comes by: codes have at most 64 bits */
#define RECENT 24
#define NONE (-1)

/* What Python hands over, and keeps for as long as the mixer lives. */
typedef struct {
    int64_t symbols, newline;  /* V; the symbol of a line's end, or NONE */
    int64_t most;              /* symbols that there is room for, and beginnings of documents: it grows */
    int64_t blocks, singles, places; /* log2 of the sizes of the tables */
    int64_t lately;            /* log2 of the symbols after which what was counted lately begins anew */
    const int32_t *children;   /* (V - 1, 2): a node, or ~symbol; the root is 0, each node stands before its own */
    const int32_t *letters;    /* (V,): which letter a symbol is, NONE for none */
    const uint8_t *opens;      /* (V,): a word begins with it, whatever stands before */
    const uint8_t *next;       /* (256, 2): history of bits -> history when a 0, a 1 is added */
    const uint8_t *certain;    /* (256,): the history has bits of one kind only */
    const uint16_t *beginning; /* (256,): what a history says until it is known better */
    const int16_t *stretch;    /* (4096,): log-odds of p / 16 */
    const uint16_t *squash;    /* (2 ODDS + 1,): its inverse */
    const int32_t *logarithms; /* (4097,): of 4096 and more, in 256ths of a nat */
} Settings;

/* What stands before a symbol, beside the symbols themselves. A word is a hash of its letters, 0 where there is none. */
typedef struct {
    int32_t recent[RECENT];   /* the last symbol first; V where the text begins */
    uint64_t word, words[3];  /* this word so far, and the three before */
    uint64_t first, speaker;  /* the line's first word; the last of the first line after an empty one */
    int64_t line, line_before, word_length, words_in_line;
    int32_t in_first, capital, runs[7]; /* kinds of symbols in a row, the last first */
} Text;

/* Of a node in a context: an adaptive probability, the history of its bits, and how often it was met, to a limit. */
typedef struct {
    uint16_t p;
    uint8_t history, met;
} Counter;

/* Three levels of the tree in one context: half a cache line. */
typedef struct {
    uint16_t check;   /* 12 bits of the hash, 4 of how often the last symbol came in a row */
    uint16_t last;    /* the last symbol met here */
    Counter counters[NODES_IN_BLOCK];
} Block;

typedef struct {
    int64_t place, length; /* where it goes on, 0 for nowhere; how long it is, to a limit */
    uint32_t *places;      /* where each hash was met last */
} Match;

typedef struct {
    Settings set;
    int32_t *low, *middle, *high; /* (V - 1,): the leaves below a node and where those of a 1 begin */
    int32_t *top;                 /* (V - 1,): the node with which its block begins */
    uint8_t *inside, *depth;      /* (V - 1,) where in the block; (V,) how long a code is */
    uint64_t *code;               /* (V,): the first bit lowest */
    int32_t *leaf;                /* (V,): which leaf, from the left */
    Text text;
    int32_t *read;                /* (most,): what was read */
    int64_t at;
    uint64_t contexts[CONTEXTS];
    uint32_t *after, *after_two;  /* the three symbols that last followed one, and two (a hash of 16 bits) */
    Match match[MATCHES];
    Block *blocks;
    Block *met[MOST_BLOCKS][CONTEXTS], **block; /* those that this symbol came by, and the last of them */
    uint32_t *singles;            /* contexts that were met once: a check, and the symbol */
    uint32_t *new_here[CONTEXTS]; /* where a context is noted that was never met before; else nothing */
    int32_t last[CONTEXTS], in_a_row[CONTEXTS]; /* what its first block says of the last symbol */
    uint16_t *histories;          /* (CONTEXTS, 256, 256): by node */
    uint16_t *rows, *matched;     /* (CONTEXTS, 16, 2), (MATCHES, 32, 2): by the bit that is expected */
    int32_t *weights[SETS], *last_weights[LAST_SETS];
    uint16_t *corrections[2];     /* (65536, 33) */
    int64_t sizes[SETS];          /* rows of the weights */
    uint64_t *sums;               /* (V + 1,): the network's shares of the leaves, added up */
    int64_t learned;              /* bits, since the network takes part */
    int32_t with_network;
    int32_t (*dot)(const int32_t *, const int16_t *, int);
    void (*learn)(int32_t *, const int16_t *, int, int32_t);
} Mixer;

static INLINE uint64_t hashed(uint64_t a, uint64_t b) {
    uint64_t h = (a + 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u ^ (b + 1) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

static INLINE int32_t clamped(int32_t value, int32_t most) {
    value = value < most ? value : most;
    return value > -most ? value : -most;
}

static INLINE int32_t odds_of(const Mixer *m, int32_t p) { return m->set.stretch[p >> 4]; }

static INLINE int32_t p_of(const Mixer *m, int32_t odds) { return m->set.squash[clamped(odds, ODDS - 1) + ODDS]; }

/* A probability goes a share of 1 / 2^shift of the way to the bit that came. */
static INLINE void approach(uint16_t *p, int bit, int shift) {
    *p = (uint16_t)(bit ? *p + ((65535 - *p) >> shift) : *p - (*p >> shift));
}

/* The bit by which a symbol leaves a node at this depth; NONE where its way does not lead by there. */
static INLINE int expected_bit(const Mixer *m, int64_t symbol, uint64_t path, int depth) {
    if (symbol < 0 || symbol >= m->set.symbols || m->depth[symbol] <= depth) return NONE;
    if ((m->code[symbol] ^ path) & (((uint64_t)1 << depth) - 1)) return NONE;
    return (int)(m->code[symbol] >> depth & 1);
}

#endif
