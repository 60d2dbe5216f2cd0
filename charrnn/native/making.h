/* A mixer is made and taken apart. */

#ifndef CHARRNN_MAKING_H
#define CHARRNN_MAKING_H

#include "mixers.h"
#include "mixing.h"

EXPORTED void charrnn_mixing_free(Mixer *m) {
    if (!m) return;
    free(m->low);
    free(m->middle);
    free(m->high);
    free(m->top);
    free(m->inside);
    free(m->depth);
    free(m->code);
    free(m->leaf);
    free(m->read);
    free(m->after);
    free(m->after_two);
    for (int i = 0; i < MATCHES; i++) free(m->match[i].places);
    free(m->blocks);
    free(m->singles);
    free(m->histories);
    free(m->rows);
    free(m->matched);
    for (int i = 0; i < SETS; i++) free(m->weights[i]);
    for (int i = 0; i < LAST_SETS; i++) free(m->last_weights[i]);
    for (int i = 0; i < 2; i++) free(m->corrections[i]);
    free(m->sums);
    free(m);
}

/* Codes, blocks and leaves below a node. 0 where a code would be too long. */
static int walk(Mixer *m, int64_t node, int depth, uint64_t path, int64_t top, int inside, int32_t *leaves) {
    if (depth >= 63) return 0;
    m->low[node] = *leaves;
    m->top[node] = (int32_t)top;
    m->inside[node] = (uint8_t)inside;
    for (int bit = 0; bit < 2; bit++) {
        const int32_t child = m->set.children[2 * node + bit];
        const uint64_t onwards = path | (uint64_t)bit << depth;
        if (bit) m->middle[node] = *leaves;
        if (child < 0) {
            m->code[~child] = onwards;
            m->depth[~child] = (uint8_t)(depth + 1);
            m->leaf[~child] = (*leaves)++;
        } else if (!(inside < 3 ? walk(m, child, depth + 1, onwards, top, 2 * inside + 1 + bit, leaves)
                                : walk(m, child, depth + 1, onwards, child, 0, leaves)))
            return 0;
    }
    m->high[node] = *leaves;
    return 1;
}

static uint16_t *expectations(int64_t pairs) {
    uint16_t *p = malloc((size_t)pairs * 2 * sizeof *p);
    for (int64_t i = 0; p && i < 2 * pairs; i++) p[i] = i & 1 ? ONE * 3 / 4 : ONE / 4;
    return p;
}

static int32_t *equal_weights(int64_t rows, int64_t columns, int32_t weight) {
    int32_t *weights = malloc((size_t)(rows * columns) * sizeof *weights);
    for (int64_t i = 0; weights && i < rows * columns; i++) weights[i] = weight;
    return weights;
}

static int allocate(Mixer *m) {
    const size_t v = (size_t)m->set.symbols;
    int32_t **numbers[] = {&m->low, &m->middle, &m->high, &m->top, &m->leaf};
    int whole = 1;
    for (int i = 0; i < 5; i++) whole &= (*numbers[i] = calloc(v, sizeof(int32_t))) != NULL;
    whole &= (m->inside = calloc(v, 1)) != NULL;
    whole &= (m->depth = calloc(v, 1)) != NULL;
    whole &= (m->code = calloc(v, sizeof(uint64_t))) != NULL;
    whole &= (m->sums = calloc(v + 1, sizeof(uint64_t))) != NULL;
    whole &= (m->read = calloc((size_t)m->set.most, sizeof(int32_t))) != NULL;
    whole &= (m->after = calloc(v + 1, sizeof(uint32_t))) != NULL;
    whole &= (m->after_two = calloc(65536, sizeof(uint32_t))) != NULL;
    for (int i = 0; i < MATCHES; i++)
        whole &= (m->match[i].places = calloc((size_t)1 << m->set.places, sizeof(uint32_t))) != NULL;
    whole &= (m->blocks = calloc((size_t)1 << m->set.blocks, sizeof(Block))) != NULL;
    whole &= (m->singles = calloc((size_t)1 << m->set.singles, sizeof(uint32_t))) != NULL;
    whole &= (m->histories = malloc((size_t)CONTEXTS * 65536 * sizeof(uint16_t))) != NULL;
    whole &= (m->rows = expectations(CONTEXTS * 16)) != NULL;
    whole &= (m->matched = expectations(MATCHES * 32)) != NULL;
    for (int i = 0; i < SETS; i++)
        whole &= (m->weights[i] = equal_weights(m->sizes[i], INPUTS, FIRST_WEIGHT)) != NULL;
    const int64_t rows[LAST_SETS] = {m->set.symbols, 8 * (m->set.symbols + 1), 1024};
    for (int i = 0; i < LAST_SETS; i++)
        whole &= (m->last_weights[i] = equal_weights(rows[i], OUTPUTS, ONE / SETS)) != NULL;
    for (int i = 0; i < 2; i++)
        whole &= (m->corrections[i] = malloc((size_t)65536 * BUCKETS * sizeof(uint16_t))) != NULL;
    return whole;
}

/* Nothing where the tree does not fit, or memory fails. */
EXPORTED Mixer *charrnn_mixing_new(const Settings *settings) {
    Mixer *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->set = *settings;
    sizes_of_sets(m);
    choose_vectors(m);
    int32_t leaves = 0;
    if (!allocate(m) || (m->set.symbols > 1 && !walk(m, 0, 0, 0, 0, 0, &leaves))) {
        charrnn_mixing_free(m);
        return NULL;
    }
    for (int i = 0; i < CONTEXTS * 256; i++)
        memcpy(m->histories + i * 256, m->set.beginning, 256 * sizeof(uint16_t));
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < 65536 * BUCKETS; k++)
            m->corrections[i][k] = (uint16_t)p_of(m, (int32_t)(k % BUCKETS - BUCKETS / 2) * 128);
    begin(m);
    return m;
}

#endif
