/* What each expert holds likely at a place, and the mixture, whose weights a gate chooses: see models/counts/experts.py
   and mixture.py. Everything is inlined into one function for each instruction set.

   A row of V symbols is walked through once, 16 at a time: what contexts say of them, their logarithms, and what a gate
   sees of them. Shapes are those of counts.h. */

#ifndef CHARRNN_MIXTURE_H
#define CHARRNN_MIXTURE_H

#include "places.h"

/* The contexts of a place that are known, one above the other: p becomes p rest + added. `added` (levels, stride) are
   zeros wherever no row is being mixed. */
typedef struct {
    float *added, *rests;
    int64_t stride, count;
} Rungs;

/* One for each known context of some levels of an expert. */
static ALWAYS_INLINE void put_up(const Expert *expert, int64_t first, int64_t end, const int64_t *contexts,
                                 Rungs *rungs) {
    for (int64_t n = first; n < end; n++) {
        const Level *level = &expert->level[n];
        const int64_t place = contexts[expert->contexts[n]] - 1;
        if (place < 0 || place >= level->contexts) continue;
        float *added = rungs->added + rungs->count * rungs->stride;
        for (int64_t gram = level->firsts[place]; gram < (int64_t)level->firsts[place + 1]; gram++)
            added[level->symbols[gram]] = level->shares[gram];
        rungs->rests[rungs->count++] = level->rests[place];
    }
}

/* 16 probabilities behind the rungs from `first` to `end`, which are taken down. */
static ALWAYS_INLINE Lanes climb(const Rungs *rungs, int64_t first, int64_t end, int64_t j, Lanes p) {
    for (int64_t n = first; n < end; n++) {
        float *added = rungs->added + n * rungs->stride + j;
        p = plus(times(p, all(rungs->rests[n])), lanes_at(added));
        put_lanes(added, all(0.0f));
    }
    return p;
}

/* Where an expert's rungs begin, where it parts from the expert in front of it, and where they end. */
typedef struct {
    int64_t first, parts, end;
} Span;

/* The rungs of all experts, the last first, for each begins where it parts from the one behind it: spans (K - M,). */
static ALWAYS_INLINE void put_up_all(const Counts *counts, const int64_t *contexts, int64_t known, Rungs *rungs,
                                     Span *spans) {
    for (int64_t k = counts->experts - 1; k >= 0; k--) {
        const Expert *expert = &counts->expert[k];
        int64_t parts = k ? counts->expert[k - 1].shared : 0;
        parts = parts > known ? parts : known;
        spans[k].first = rungs->count;
        put_up(expert, known, parts, contexts, rungs);
        spans[k].parts = rungs->count;
        put_up(expert, parts, expert->levels, contexts, rungs);
        spans[k].end = rungs->count;
        known = parts;
    }
}

/* What a gate sees of a distribution: entropy, largest log-probability, divergence from the first. */
typedef struct {
    float entropy, largest, apart;
} Seen;

/* An expert's log-probabilities (stride,), from what is likely `below` its rungs (stride,); `stem` becomes what is
   likely where it parts from the expert in front of it. */
static ALWAYS_INLINE Seen expect(const Rungs *rungs, const Span *span, const float *below, float *stem,
                                 const float *log_first, float *log_p, int64_t symbols) {
    Lanes own = all(0.0f), cross = all(0.0f), most = all(-INFINITY);
    for (int64_t j = 0; j < symbols; j += WIDTH) {
        Lanes p = climb(rungs, span->first, span->parts, j, lanes_at(below + j));
        put_lanes(stem + j, p);
        p = first_of(climb(rungs, span->parts, span->end, j, p), symbols - j);
        Lanes logs = log_of(p); /* of a zero the least there is */
        most = larger(logs, most);
        logs = first_of(logs, symbols - j);
        own = plus(own, times(p, logs));
        cross = plus(cross, times(p, lanes_at(log_first + j)));
        put_lanes(log_p + j, logs);
    }
    const float entropy = -sum_of(own);
    return (Seen){entropy, largest_of(most), -sum_of(cross) - entropy};
}

/* A network's logits (V,) -> its log-probabilities (stride,); `shares` (stride,) are worked with. */
static ALWAYS_INLINE Seen normalise(const float *logits, const float *log_first, float *shares, float *log_p,
                                    int64_t symbols) {
    Lanes own = all(0.0f), cross = all(0.0f), total = all(0.0f), most = all(logits[0]);
    const int64_t whole = symbols / WIDTH * WIDTH;
    for (int64_t j = 0; j < whole; j += WIDTH) most = larger(lanes_at(logits + j), most);
    float largest = largest_of(most);
    for (int64_t j = whole; j < symbols; j++) largest = logits[j] > largest ? logits[j] : largest;
    for (int64_t j = 0; j < symbols; j += WIDTH) {
        const Lanes below = minus(some_at(logits + j, symbols - j), all(largest));
        const Lanes share = first_of(exp_of(below), symbols - j);
        total = plus(total, share);
        put_lanes(shares + j, share);
        put_lanes(log_p + j, below);
    }
    const float sum = sum_of(total);
    const Lanes log_sum = log_of(all(sum));
    for (int64_t j = 0; j < symbols; j += WIDTH) {
        const Lanes p = over(lanes_at(shares + j), all(sum));
        const Lanes logs = first_of(minus(lanes_at(log_p + j), log_sum), symbols - j);
        put_lanes(log_p + j, logs);
        own = plus(own, times(p, logs));
        cross = plus(cross, times(p, lanes_at(log_first + j)));
    }
    const float entropy = -sum_of(own);
    return (Seen){entropy, largest_of(minus(all(0.0f), log_sum)), -sum_of(cross) - entropy};
}

/* -- the gate ------------------------------------------------------------------------------------------------------ */

/* Some units of the gate. */
static ALWAYS_INLINE void some_units(const Counts *counts, const float *seen, int64_t first, int64_t many,
                                     float *hidden) {
    const int64_t features = 3 * (counts->networks + counts->experts) - 1;
    Lanes sums = some_at(counts->bias + first, many);
    for (int64_t f = 0; f < features; f++)
        sums = plus(sums, times(all(seen[f]), some_at(counts->inward + f * counts->units + first, many)));
    put_some(hidden + first, tanh_of(sums), many);
}

/* Some experts' weights. */
static ALWAYS_INLINE void some_weights(const Counts *counts, const float *hidden, int64_t first, int many,
                                       float *weights) {
    const int64_t experts = counts->networks + counts->experts;
    float sums[WIDTH];
    for (int lane = 0; lane < many; lane++) sums[lane] = counts->constants[first + lane];
    for (int64_t h = 0; h < counts->units; h++) {
        const float *outward = counts->outward + h * experts + first;
        for (int lane = 0; lane < many; lane++) sums[lane] = sums[lane] + hidden[h] * outward[lane];
    }
    for (int lane = 0; lane < many; lane++) weights[first + lane] = sums[lane];
}

/* What a gate sees (F,), in whose place comes the same of mean 0 and scale 1 -> weights (K,). */
static ALWAYS_INLINE void open_gate(const Counts *counts, float *seen, float *hidden, float *weights) {
    const int64_t experts = counts->networks + counts->experts, units = counts->units;
    for (int64_t f = 0; f < 3 * experts - 1; f++) seen[f] = (seen[f] - counts->mean[f]) / counts->scale[f];
    int64_t h = 0, k = 0;
    for (; h + WIDTH <= units; h += WIDTH) some_units(counts, seen, h, WIDTH, hidden);
    if (h < units) some_units(counts, seen, h, units - h, hidden);
    for (; k + 4 <= experts; k += 4) some_weights(counts, hidden, k, 4, weights);
    for (; k < experts; k++) some_weights(counts, hidden, k, 1, weights);
}

/* -- the mixture --------------------------------------------------------------------------------------------------- */

/* Levels of all experts. */
static int64_t levels_of(const Counts *counts) {
    int64_t levels = 0;
    for (int64_t k = 0; k < counts->experts; k++) levels += counts->expert[k].levels;
    return levels;
}

/* What is seen of expert k, where a gate looks for it: entropies (K), largest (K), divergences (K - 1). */
static ALWAYS_INLINE void note(Seen seen, int64_t k, int64_t experts, float *features) {
    features[k] = seen.entropy;
    features[experts + k] = seen.largest;
    if (k) features[2 * experts + k - 1] = seen.apart;
}

/* How many numbers a row is mixed with. */
static int64_t counts_floats(const Counts *counts) {
    const int64_t experts = counts->networks + counts->experts, levels = levels_of(counts);
    return (levels + experts + 1) * ROUND_UP(counts->ids, WIDTH) + levels + 4 * experts + counts->units;
}

/* A row that was found: its logits (V,) by each network, `apart` from one to the next -> those of the mixture (V,), in
   the place of the first perhaps. `floats` are zeros before the first row. */
static ALWAYS_INLINE void mix_row(const Counts *counts, const int64_t *contexts, const float *logits, int64_t apart,
                                  float *mixed, float *floats) {
    const int64_t networks = counts->networks, experts = networks + counts->experts, symbols = counts->symbols;
    const int64_t stride = ROUND_UP(counts->ids, WIDTH);
    float *log_p = floats, *stem = log_p + experts * stride, *added = stem + stride;
    float *seen = added + levels_of(counts) * stride, *weights = seen + 3 * experts, *hidden = weights + experts;
    Rungs rungs = {.added = added, .rests = hidden + counts->units, .stride = stride, .count = 0};
    Span spans[MOST_EXPERTS];
    const float *row;
    const int64_t known = beginning(counts, contexts, stride, &row);
    fetch_ahead(counts, contexts, 1);
    for (int64_t k = 0; k < networks; k++)
        note(normalise(logits + k * apart, log_p, stem, log_p + k * stride, symbols), k, experts, seen);
    put_up_all(counts, contexts, known, &rungs, spans);
    for (int64_t k = experts - 1; k >= networks; k--) {
        const float *below = k + 1 < experts ? stem : row;
        const Span *span = &spans[k - networks];
        note(expect(&rungs, span, below, stem, log_p, log_p + k * stride, symbols), k, experts, seen);
    }
    open_gate(counts, seen, hidden, weights);
    for (int64_t j = 0; j < symbols; j += WIDTH) {
        Lanes sums = times(all(weights[0]), lanes_at(log_p + j));
        for (int64_t k = 1; k < experts; k++)
            sums = plus(sums, times(all(weights[k]), lanes_at(log_p + k * stride + j)));
        put_some(mixed + j, sums, symbols - j);
    }
}

#endif
