/* Counters of every context's nodes: a hashed table of blocks with checks, before which stands one of contexts that
   were met once and of which no more is known than the symbol that followed. */

#ifndef CHARRNN_COUNTERS_H
#define CHARRNN_COUNTERS_H

#include "mixing.h"

#define MOST_MET 60
#define MOST_MET_SHORT 250 /* in the contexts of no, one and two symbols */
#define SLOW 6             /* maps go 1 / 64 of the way */

typedef struct {
    uint16_t *history, *row; /* where this context's inputs came from; no row where none is expected */
} Sources;

static void count(const Mixer *m, Counter *counter, int bit, int most) {
    const int64_t way = ((int64_t)bit << 16) - bit - counter->p;
    counter->p = (uint16_t)(counter->p + ((way * (2 * ONE / (2 * counter->met + 3))) >> 16));
    counter->history = m->set.next[2 * counter->history + bit];
    counter->met += counter->met < most;
}

static Block *block_of(Mixer *m, uint64_t hash) {
    const uint64_t place = hash & (((uint64_t)1 << m->set.blocks) - 1);
    const uint16_t check = (uint16_t)((hash >> 48) << 4);
    for (uint64_t i = 0; i < 2; i++) {
        Block *block = m->blocks + (place ^ i);
        if (block->counters[0].met && (block->check & 0xfff0) == check) return block;
    }
    return NULL;
}

/* The less used of two makes room. What is known already is the last symbol, and that it came so often in a row. */
static Block *new_block(Mixer *m, uint64_t hash, int64_t node, uint64_t path, int depth, int32_t last, int in_a_row) {
    const uint64_t place = hash & (((uint64_t)1 << m->set.blocks) - 1);
    Block *block = m->blocks + place, *other = m->blocks + (place ^ 1);
    if (other->counters[0].met < block->counters[0].met) block = other;
    memset(block, 0, sizeof *block);
    block->check = (uint16_t)((hash >> 48) << 4);
    for (int i = 0; i < NODES_IN_BLOCK; i++) block->counters[i].p = ONE / 2;
    if (!in_a_row || expected_bit(m, last, path, depth) == NONE) return block;
    block->check = (uint16_t)(block->check | in_a_row);
    block->last = (uint16_t)last;
    for (int64_t top = node; node >= 0 && m->top[node] == top; depth++) {
        const int bit = (int)(m->code[last] >> depth & 1);
        count(m, block->counters + m->inside[node], bit, MOST_MET);
        node = m->set.children[2 * node + bit];
    }
    return block;
}

/* Where a context that was met once is kept, or would be: in one of two places. */
static uint32_t *single_of(Mixer *m, uint64_t hash, uint32_t check) {
    uint32_t *one = m->singles + (hash >> 8 & (((uint64_t)1 << m->set.singles) - 1));
    uint32_t *other = m->singles + ((hash >> 8 & (((uint64_t)1 << m->set.singles) - 1)) ^ 1);
    if (*one >> 16 == check) return one;
    if (*other >> 16 == check) return other;
    return *one && !*other ? other : one;
}

/* The block of the root: made when a context is met for the second time. */
static Block *first_block(Mixer *m, int c, uint64_t hash) {
    Block *block = block_of(m, hash);
    m->new_here[c] = NULL;
    m->in_a_row[c] = 0;
    if (block) {
        m->last[c] = block->last;
        m->in_a_row[c] = block->check & 15;
        return block;
    }
    const uint32_t check = (uint32_t)(hash >> 40 & 0xffff) | 1;
    uint32_t *single = single_of(m, hash, check);
    if (*single >> 16 == check) {
        m->last[c] = (int32_t)(*single & 0xffff);
        m->in_a_row[c] = 1;
        *single = 0;
        return new_block(m, hash, 0, 0, 0, m->last[c], 1);
    }
    m->new_here[c] = single;
    *single = check << 16;
    return NULL;
}

/* Where a block of the tree begins: the blocks of all contexts. Of those that were met more than once before, the
   longest order is the answer; it is found at the root. */
static int find_blocks(Mixer *m, int64_t node, uint64_t path, int depth) {
    uint64_t hashes[CONTEXTS];
    int order = 0;
    m->block = m->met[depth / 3];
    for (int c = 0; c < CONTEXTS; c++) {
        hashes[c] = hashed(m->contexts[c], (uint64_t)(node * 64 + c));
#if defined(__GNUC__)
        __builtin_prefetch(m->blocks + (hashes[c] & (((uint64_t)1 << m->set.blocks) - 1)));
        if (!node) __builtin_prefetch(m->singles + (hashes[c] >> 8 & (((uint64_t)1 << m->set.singles) - 1)));
#endif
    }
    for (int c = 0; c < CONTEXTS; c++) {
        if (!node) {
            m->block[c] = first_block(m, c, hashes[c]);
            if (c <= 9 && m->block[c] && m->block[c]->counters[0].met > 1) order = c;
        } else if (m->new_here[c]) {
            m->block[c] = NULL;
        } else {
            m->block[c] = block_of(m, hashes[c]);
            if (!m->block[c])
                m->block[c] = new_block(m, hashes[c], node, path, depth, m->last[c], m->in_a_row[c]);
        }
    }
    return order;
}

/* A context's inputs at a node: what its counter says; what a history such as its has meant here, as log-odds, as a
   probability, and as log-odds where all bits were one; what the last symbol being expected again has meant. */
static Sources ask(const Mixer *m, int c, int64_t node, uint64_t path, int depth, int16_t *x) {
    Sources found = {NULL, NULL};
    const Block *block = m->block[c];
    memset(x, 0, PER_CONTEXT * sizeof *x);
    if (!block) return found;
    const Counter *counter = block->counters + m->inside[node];
    found.history = m->histories + ((c << 8 | (node & 255)) << 8 | counter->history);
    if (counter->met) {
        const int32_t p = *found.history;
        x[0] = (int16_t)odds_of(m, counter->p);
        x[1] = (int16_t)odds_of(m, p);
        x[2] = (int16_t)((p - ONE / 2) >> 6);
        x[3] = m->set.certain[counter->history] ? x[1] : 0;
    } else found.history = NULL;
    const int bit = block->check & 15 ? expected_bit(m, block->last, path, depth) : NONE;
    if (bit != NONE) {
        found.row = m->rows + ((c << 4 | (block->check & 15)) << 1 | bit);
        x[4] = (int16_t)odds_of(m, *found.row);
    }
    return found;
}

/* A bit came at a node. */
static void tell(Mixer *m, int c, int64_t node, int bit, Sources from) {
    if (from.history) approach(from.history, bit, SLOW);
    if (from.row) approach(from.row, bit, SLOW);
    if (m->block[c])
        count(m, m->block[c]->counters + m->inside[node], bit, c < 3 ? MOST_MET_SHORT : MOST_MET);
}

static void came(Block *block, int32_t symbol) {
    int in_a_row = block->check & 15;
    in_a_row = in_a_row && block->last == symbol ? in_a_row + (in_a_row < 15) : 1;
    block->check = (uint16_t)((block->check & 0xfff0) | in_a_row);
    block->last = (uint16_t)symbol;
}

/* A symbol came, by way of so many nodes. */
static void leave_blocks(Mixer *m, int32_t symbol, int depth) {
    for (int c = 0; c < CONTEXTS; c++)
        if (m->new_here[c]) *m->new_here[c] |= (uint32_t)symbol;
    for (int level = 0; 3 * level < depth; level++)
        for (int c = 0; c < CONTEXTS; c++)
            if (m->met[level][c]) came(m->met[level][c], symbol);
}

#endif
