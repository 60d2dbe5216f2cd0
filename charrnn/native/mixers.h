/* Two layers of mixers, and what corrects their answer. */

#ifndef CHARRNN_MIXERS_H
#define CHARRNN_MIXERS_H

#include "contexts.h"
#include "mixing.h"

#define MOST_ROWS 65536
#define MOST_WEIGHT (8 * ONE - 1)
#define FIRST_WEIGHT (ONE / 20)
/* When the network joins: what it begins with, and what is left to the others. */
#define FIRST_WEIGHT_OF_NETWORK (ONE * 25 / 64)
#define KEPT_WEIGHT(weight) ((weight) >> 1)
/* A first mixer's rate falls from LEARN + LEARN_FIRST to LEARN, by half of the way in so many bits. */
#define LEARN 64
#define LEARN_FIRST 320
#define HALF_WAY 65536
#define BUCKETS 33 /* of a correction: every half nat */

/* The products in 65536ths of a nat: four binary places of each are lost. */
static INLINE int32_t dot_body(const int32_t *w, const int16_t *x, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) sum += ((w[i] >> 4) * x[i]) >> 4;
    return sum;
}

static INLINE void learn_body(int32_t *w, const int16_t *x, int n, int32_t error) {
    for (int i = 0; i < n; i++) w[i] = clamped(w[i] + ((x[i] * error + 8192) >> 14), MOST_WEIGHT);
}

static int32_t dot_portable(const int32_t *w, const int16_t *x, int n) { return dot_body(w, x, n); }
static void learn_portable(int32_t *w, const int16_t *x, int n, int32_t error) { learn_body(w, x, n, error); }

#if defined(__x86_64__) && defined(__GNUC__)
/* Vectors of twice the size; of whole numbers, so that the sums are the same. */
__attribute__((target("avx2"))) static int32_t dot_avx2(const int32_t *w, const int16_t *x, int n) {
    return dot_body(w, x, n);
}
__attribute__((target("avx2"))) static void learn_avx2(int32_t *w, const int16_t *x, int n, int32_t error) {
    learn_body(w, x, n, error);
}
#endif

static void choose_vectors(Mixer *m) {
    m->dot = dot_portable;
    m->learn = learn_portable;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        m->dot = dot_avx2;
        m->learn = learn_avx2;
    }
#endif
}

/* What chooses weights, beside the node. */
typedef struct {
    int order;     /* the longest that was met before (see find_blocks) */
    int surety;    /* the network's, of its likeliest symbol: 1 to 7; 0 without a network */
    int certainty; /* the network's, of the bit: likewise */
    int match;     /* how long the longest is: 1 to 7; 0 for none */
    int bit;       /* that it expects; NONE */
} Here;

/* The rows of weights of each set, a symbol's start being V. */
static void sizes_of_sets(Mixer *m) {
    const int64_t v = m->set.symbols + 1;
    const int64_t sizes[SETS] = {v, v, v, 64, 128, 1024, 240, 4 * v, 256 * v, v * v};
    for (int i = 0; i < SETS; i++) m->sizes[i] = sizes[i] < MOST_ROWS ? sizes[i] : MOST_ROWS;
}

static void choose(const Mixer *m, const Here *here, int64_t node, int depth, int32_t **chosen) {
    const int32_t *s = m->text.recent;
    const int64_t level = depth < 3 ? depth : 3, expected = here->bit + 1;
    const int64_t rows[SETS] = {
        node,
        s[0],
        s[1],
        (expected ? here->match : 0) * 8 + here->certainty,
        column_of(m, 127),
        (int64_t)(m->text.word & 255) * 4 + level,
        (here->order * 3 + expected) * 8 + here->surety,
        s[2] * 4 + level,
        node * 256 + layout_of(m),
        node * (m->set.symbols + 1) + s[0],
    };
    for (int i = 0; i < SETS; i++) chosen[i] = m->weights[i] + rows[i] % m->sizes[i] * INPUTS;
}

/* What mixes the answers of all sets. */
static void choose_last(const Mixer *m, const Here *here, int64_t node, int depth, int32_t **chosen) {
    const int64_t level = depth < 3 ? depth : 3;
    chosen[0] = m->last_weights[0] + node * OUTPUTS;
    chosen[1] = m->last_weights[1] + (m->text.recent[0] * 8 + here->match) * OUTPUTS;
    chosen[2] = m->last_weights[2] + (layout_of(m) * 4 + level) * OUTPUTS;
}

/* Where corrections by one and two symbols stand: the lower of two buckets. */
static void choose_corrections(const Mixer *m, int64_t node, int32_t odds, uint16_t **found) {
    const uint64_t last = (uint64_t)m->text.recent[0], two = hashed(last, (uint64_t)m->text.recent[1]);
    const int64_t bucket = (odds + MOST_ODDS + 1) >> 7;
    found[0] = m->corrections[0] + (int64_t)(hashed(last, (uint64_t)node) & 0xffff) * BUCKETS + bucket;
    found[1] = m->corrections[1] + (int64_t)(hashed(two, (uint64_t)node) & 0xffff) * BUCKETS + bucket;
}

/* The network takes part from here on. */
static void join(Mixer *m) {
    for (int i = 0; i < SETS; i++) {
        for (int64_t k = 0; k < m->sizes[i] * INPUTS; k++) m->weights[i][k] = KEPT_WEIGHT(m->weights[i][k]);
        for (int64_t row = 0; row < m->sizes[i]; row++)
            m->weights[i][row * INPUTS + NETWORK] = FIRST_WEIGHT_OF_NETWORK;
    }
    m->with_network = 1;
    m->learned = 0;
}

#endif
