/* Counts beside a network, as models/counts/ has them in NumPy: what a text's contexts are in the tables, what each
   expert holds likely there, and the mixture, whose weights a gate chooses (see experts.py, words.py, mixture.py).

   Everything is inlined into one function for each instruction set. All numbers are made by single operations of float32
   in NumPy's order; sums over symbols run in 16 lanes (functions.py).
   Shapes: V symbols, S ids, C contexts, G grams, M networks, K experts with these, H units of the gate. */

#ifndef CHARRNN_COUNTS_H
#define CHARRNN_COUNTS_H

#include "network.h"

/* What follows each of C contexts: share(c w) + rest(c) p(w | what c falls back to). */
typedef struct {
    int64_t contexts;
    const uint32_t *firsts;  /* (C + 1,): where the grams of each begin */
    const uint16_t *symbols; /* (G,), sorted in each */
    const float *shares;     /* (G,) */
    const float *rests;      /* (C,) */
} Level;

/* The sorted hashes (C,) of contexts of words; `buckets` (2^(64 - shift) + 1,) say where their first bits begin. */
typedef struct {
    int64_t contexts;
    const uint64_t *hashes;
    const uint32_t *buckets;
    int64_t shift;
} Words;

/* Levels of an expert, the shortest contexts first, and which of a place's contexts each of them is for; how many of
   them the expert behind it has as well. */
typedef struct {
    int64_t levels, shared;
    const int64_t *contexts;
    const Level *level;
} Expert;

/* What all experts begin with behind each of C contexts, computed once: the levels up to theirs. */
typedef struct {
    int64_t contexts;
    const float *p; /* (C, stride) */
} Begun;

typedef struct {
    int64_t symbols, ids, lengths, words;   /* V, S, contexts of grams, of words */
    int64_t networks, experts, units;       /* M, K - M, H */
    int64_t begun;                          /* how many of the lengths 0, 1, 2 … of contexts are */
    const Level *grams;     /* (lengths,): what finds a context that is one symbol longer */
    const Words *word;      /* (words,) */
    const int64_t *letters; /* (S - 1,): see words.py; nothing where there are no words */
    const Expert *expert;   /* (K - M,) */
    const Begun *beginnings; /* (begun,): the first has what is likely where nothing is known */
    const float *mean, *scale;                              /* (3 K - 1,) */
    const float *inward, *bias, *outward, *constants;       /* (3 K - 1, H), (H,), (H, K), (K,) */
} Counts;

#define MOST_WORDS 3
#define WORD_MEMORY 5 /* so far, the same alike in case, two words, kind */
#define WIDTH 16
#define NO_LETTER (-1)
#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif
enum { BEGUN = 1, IN_WORD = 2, CUT = 4 };

#define HASH_BASE 0x9E3779B97F4A7C15u
#define HASH_MULTIPLIER 0xD6E8FEB86659FD93u

/* -- e^x, ln x, tanh, sums: functions.py --------------------------------------------------------------------------- */

static ALWAYS_INLINE float exp_of(float x) {
    x = x > -87.0f ? x : -87.0f;
    const float wanted = x * 1.44269504f + 0.5f;
    const int32_t nearest = (int32_t)wanted;
    const int32_t whole = nearest - ((float)nearest > wanted);
    const float octaves = (float)whole;
    x = x - octaves * 0.693359375f;
    x = x - octaves * -2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * (x * x) + x + 1.0f;
    return y * bits_as_float((int32_t)((uint32_t)(whole + 127) << 23));
}

static ALWAYS_INLINE float log_of(float x) {
    const int32_t bits = float_as_bits(x > 1e-30f ? x : 1e-30f);
    const float mantissa = bits_as_float((bits & 0x7FFFFF) | 0x3F000000);
    const int32_t small = mantissa < 0.70710678f;
    const float octaves = (float)((bits >> 23) - 126) - (float)small;
    x = mantissa + (small ? mantissa : 0.0f) - 1.0f;
    const float square = x * x;
    float y = 7.0376836292e-2f;
    y = y * x + -1.1514610310e-1f;
    y = y * x + 1.1676998740e-1f;
    y = y * x + -1.2420140846e-1f;
    y = y * x + 1.4249322787e-1f;
    y = y * x + -1.6668057665e-1f;
    y = y * x + 2.0000714765e-1f;
    y = y * x + -2.4999993993e-1f;
    y = y * x + 3.3333331174e-1f;
    y = y * x * square;
    y = y + octaves * -2.12194440e-4f;
    y = y - 0.5f * square;
    return x + y + octaves * 0.693359375f;
}

static ALWAYS_INLINE float tanh_of(float x) {
    const float small = exp_of(fabsf(x) * -2.0f);
    return copysignf((1.0f - small) / (1.0f + small), x);
}

static ALWAYS_INLINE float halved(float *lanes) {
    for (int width = WIDTH / 2; width; width /= 2)
        for (int lane = 0; lane < width; lane++) lanes[lane] = lanes[lane] + lanes[lane + width];
    return lanes[0];
}

/* The sum of x, or of x y, whose numbers beyond the symbols are zeros. */
static ALWAYS_INLINE float sum_of(const float *x, int64_t size) {
    float lanes[WIDTH];
    for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = x[lane];
    for (int64_t j = WIDTH; j < size; j += WIDTH)
        for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = lanes[lane] + x[j + lane];
    return halved(lanes);
}

static ALWAYS_INLINE float sum_of_products(const float *x, const float *y, int64_t size) {
    float lanes[WIDTH];
    for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = x[lane] * y[lane];
    for (int64_t j = WIDTH; j < size; j += WIDTH)
        for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = lanes[lane] + x[j + lane] * y[j + lane];
    return halved(lanes);
}

/* Of V numbers, the rest of whose lanes is not looked at. */
static ALWAYS_INLINE float largest_of(const float *x, int64_t symbols) {
    float most = x[0];
    if (symbols >= WIDTH) {
        float lanes[WIDTH];
        for (int lane = 0; lane < WIDTH; lane++) lanes[lane] = x[lane];
        for (int64_t j = WIDTH; j + WIDTH <= symbols; j += WIDTH)
            for (int lane = 0; lane < WIDTH; lane++)
                lanes[lane] = x[j + lane] > lanes[lane] ? x[j + lane] : lanes[lane];
        for (int width = WIDTH / 2; width; width /= 2)
            for (int lane = 0; lane < width; lane++)
                lanes[lane] = lanes[lane + width] > lanes[lane] ? lanes[lane + width] : lanes[lane];
        most = lanes[0];
    }
    for (int64_t j = symbols / WIDTH * WIDTH; j < symbols; j++) most = x[j] > most ? x[j] : most;
    return most;
}

/* -- where a text is in the tables --------------------------------------------------------------------------------- */

/* The place of a context followed by an id, from 1; 0 where there is no such gram. Where to go on looking is computed,
   for no processor can guess it. */
static ALWAYS_INLINE int64_t longer(const Level *level, int64_t context, int64_t id) {
    if (context < 0 || context >= level->contexts || id >= 65536) return 0;
    int64_t at = level->firsts[context], left = level->firsts[context + 1] - at;
    if (left < 1) return 0;
    for (; left > 1; left -= left / 2) at += left / 2 * (level->symbols[at + left / 2 - 1] < id);
    return level->symbols[at] == id ? at + 1 : 0;
}

/* The same of a context of words, by its hash. */
static ALWAYS_INLINE int64_t word_place(const Words *words, uint64_t hash) {
    const uint32_t *bucket = words->buckets + (hash >> words->shift);
    int64_t at = bucket[0], left = bucket[1] - at;
    if (left < 1) return 0;
    for (; left > 1; left -= left / 2) at += left / 2 * (words->hashes[at + left / 2 - 1] < hash);
    return words->hashes[at] == hash ? at + 1 : 0;
}

static ALWAYS_INLINE uint64_t scrambled(uint64_t id) {
    uint64_t mixed = (id + 1) * HASH_BASE;
    mixed = (mixed ^ (mixed >> 32)) * HASH_MULTIPLIER;
    return mixed ^ (mixed >> 29);
}

/* One more token of a word: the memory of words (5,) -> the hashes of its contexts, and how many of them are known. */
static ALWAYS_INLINE int64_t read_on(const Counts *counts, int64_t id, int64_t *memory, uint64_t *hashes) {
    const int64_t letter = id < counts->ids - 1 ? counts->letters[id] : NO_LETTER, kind = memory[4];
    const int in_word = letter != NO_LETTER, was_word = (kind & IN_WORD) != 0;
    uint64_t so_far = (uint64_t)memory[0], alike = (uint64_t)memory[1];
    int cut = (kind & CUT) != 0;
    if (!(kind & BEGUN)) cut = id != counts->ids - 1;
    else if (in_word != was_word) {
        if (was_word) {
            memory[3] = memory[2];
            memory[2] = (int64_t)alike;
        }
        so_far = alike = 0;
        cut = 0;
    }
    so_far = cut ? 0 : so_far * HASH_BASE + scrambled((uint64_t)id);
    alike = cut ? 0 : alike * HASH_BASE + scrambled((uint64_t)(in_word ? letter : id));
    memory[0] = (int64_t)so_far;
    memory[1] = (int64_t)alike;
    memory[4] = BEGUN + IN_WORD * in_word + CUT * cut;
    for (int64_t before = 0; before < counts->words; before++)
        hashes[before] = before ? hashes[before - 1] * HASH_MULTIPLIER + (uint64_t)memory[1 + before] : so_far;
    return cut ? 0 : counts->words;
}

/* One more token: places (lengths,), the memory of words (5,) -> the places of all contexts, from 1 (lengths + words,). */
static ALWAYS_INLINE void go_on(const Counts *counts, int64_t id, int64_t *places, int64_t *memory, int64_t *contexts) {
    uint64_t hashes[MOST_WORDS];
    const int64_t known = counts->letters ? read_on(counts, id, memory, hashes) : 0;
    for (int64_t n = 0; n < known; n++) FETCH(counts->word[n].buckets + (hashes[n] >> counts->word[n].shift));
    for (int64_t length = counts->lengths - 1; length >= 0; length--)
        places[length] = longer(&counts->grams[length], length ? places[length - 1] - 1 : 0, id);
    for (int64_t length = 0; length < counts->lengths; length++) contexts[length] = places[length];
    for (int64_t n = 0; n < known; n++)
        FETCH(counts->word[n].hashes + counts->word[n].buckets[hashes[n] >> counts->word[n].shift]);
    for (int64_t n = 0; n < counts->words; n++) {
        const int there = n < known && (!n || memory[1 + n]); /* as many words before it */
        contexts[counts->lengths + n] = there ? word_place(&counts->word[n], hashes[n]) : 0;
    }
}

/* -- what is likely there ------------------------------------------------------------------------------------------ */

/* The longest context that is begun with, and its row. */
static ALWAYS_INLINE int64_t beginning(const Counts *counts, const int64_t *contexts, int64_t stride,
                                       const float **row) {
    int64_t length = counts->begun - 1;
    while (length && (contexts[length - 1] < 1 || contexts[length - 1] > counts->beginnings[length].contexts)) length--;
    *row = counts->beginnings[length].p + (length ? contexts[length - 1] - 1 : 0) * stride;
    return length;
}

/* What will be read of the tables is asked for in two strides: memory is slower than all that is computed from it. */
static ALWAYS_INLINE void fetch_ahead(const Counts *counts, const int64_t *contexts, int grams) {
    const int64_t stride = ROUND_UP(counts->ids, WIDTH);
    const float *row;
    const int64_t known = beginning(counts, contexts, stride, &row);
    for (int64_t j = 0; grams && j < stride; j += WIDTH) FETCH(row + j);
    for (int64_t k = 0; k < counts->experts; k++) {
        const Expert *expert = &counts->expert[k];
        for (int64_t n = k + 1 < counts->experts ? expert->shared : known; n < expert->levels; n++) {
            const Level *level = &expert->level[n];
            const int64_t place = contexts[expert->contexts[n]] - 1;
            if (place < 0 || place >= level->contexts) continue;
            if (grams) {
                FETCH(level->symbols + level->firsts[place]);
                FETCH(level->shares + level->firsts[place]);
            } else {
                FETCH(level->firsts + place);
                FETCH(level->rests + place);
            }
        }
    }
}

/* Probabilities (V,) by some levels of an expert, from those below them. */
static ALWAYS_INLINE void climb(const Expert *expert, int64_t first, int64_t end, const int64_t *contexts, float *p,
                                int64_t size) {
    for (int64_t n = first; n < end; n++) {
        const Level *level = &expert->level[n];
        const int64_t place = contexts[expert->contexts[n]] - 1;
        if (place < 0 || place >= level->contexts) continue;
        const float rest = level->rests[place];
        for (int64_t j = 0; j < size; j += WIDTH)
            for (int lane = 0; lane < WIDTH; lane++) p[j + lane] = p[j + lane] * rest;
        for (int64_t gram = level->firsts[place]; gram < (int64_t)level->firsts[place + 1]; gram++)
            p[level->symbols[gram]] += level->shares[gram];
    }
}

/* Probabilities (K - M, stride) of all experts, the last first, for each begins where it parts from the one behind it. */
static ALWAYS_INLINE void likely(const Counts *counts, const int64_t *contexts, float *p, float *stem, int64_t stride) {
    const float *row;
    int64_t known = beginning(counts, contexts, stride, &row);
    memcpy(stem, row, (size_t)stride * sizeof(float));
    for (int64_t k = counts->experts - 1; k >= 0; k--) {
        const Expert *expert = &counts->expert[k];
        const int64_t parts = k ? counts->expert[k - 1].shared : 0;
        float *own = p + k * stride;
        climb(expert, known, parts > known ? parts : known, contexts, stem, stride);
        known = parts > known ? parts : known;
        memcpy(own, stem, (size_t)stride * sizeof(float));
        climb(expert, known, expert->levels, contexts, own, stride);
        for (int64_t j = counts->symbols; j < stride; j++) own[j] = 0.0f;
    }
}

/* Whole vectors, and then zeros beyond the symbols. */
static ALWAYS_INLINE void logarithms(const float *p, float *log_p, int64_t symbols, int64_t size) {
    for (int64_t j = 0; j < size; j += WIDTH)
        for (int lane = 0; lane < WIDTH; lane++) log_p[j + lane] = log_of(p[j + lane]);
    for (int64_t j = symbols; j < size; j++) log_p[j] = 0.0f;
}

/* A network's logits (V,) -> probabilities and log-probabilities. */
static ALWAYS_INLINE void normalise(const float *logits, float *p, float *log_p, int64_t symbols, int64_t size) {
    const float most = largest_of(logits, symbols);
    for (int64_t j = 0; j < symbols; j++) log_p[j] = logits[j] - most;
    for (int64_t j = symbols; j < size; j++) log_p[j] = 0.0f;
    for (int64_t j = 0; j < size; j += WIDTH)
        for (int lane = 0; lane < WIDTH; lane++) p[j + lane] = exp_of(log_p[j + lane]);
    for (int64_t j = symbols; j < size; j++) p[j] = 0.0f;
    const float total = sum_of(p, size), log_total = log_of(total);
    for (int64_t j = 0; j < size; j += WIDTH)
        for (int lane = 0; lane < WIDTH; lane++) {
            p[j + lane] = p[j + lane] / total;
            log_p[j + lane] = log_p[j + lane] - log_total;
        }
    for (int64_t j = symbols; j < size; j++) log_p[j] = 0.0f;
}

/* What a gate sees (F,), in whose place comes what it does with it: weights (K,). */
static ALWAYS_INLINE void open_gate(const Counts *counts, float *seen, float *hidden, float *weights) {
    const int64_t experts = counts->networks + counts->experts, units = counts->units, features = 3 * experts - 1;
    for (int64_t f = 0; f < features; f++) seen[f] = (seen[f] - counts->mean[f]) / counts->scale[f];
    for (int64_t h = 0; h < units; h++) hidden[h] = counts->bias[h];
    for (int64_t f = 0; f < features; f++)
        for (int64_t h = 0; h < units; h++) hidden[h] = hidden[h] + seen[f] * counts->inward[f * units + h];
    for (int64_t h = 0; h < units; h++) hidden[h] = tanh_of(hidden[h]);
    for (int64_t k = 0; k < experts; k++) {
        weights[k] = counts->constants[k];
        for (int64_t h = 0; h < units; h++) weights[k] = weights[k] + hidden[h] * counts->outward[h * experts + k];
    }
}

/* How many numbers a row is found by, and mixed with. */
static int64_t counts_places(const Counts *counts) { return counts->lengths + counts->words; }
static int64_t counts_floats(const Counts *counts) {
    const int64_t experts = counts->networks + counts->experts;
    return (2 * experts + 1) * ROUND_UP(counts->ids, WIDTH) + 4 * experts + counts->units;
}

/* One more token of a row: where it is now. What is found there is asked for, and comes while a network is computed. */
static void find_row(const Counts *counts, int64_t id, int64_t *places, int64_t *memory, int64_t *contexts) {
    go_on(counts, id, places, memory, contexts);
    fetch_ahead(counts, contexts, 0);
}

/* A row that was found: its logits (V,) by each network, `apart` from one to the next -> those of the mixture (V,), in
   the place of the first perhaps. */
static ALWAYS_INLINE void mix_row(const Counts *counts, const int64_t *contexts, const float *logits, int64_t apart,
                                  float *mixed, float *floats) {
    const int64_t networks = counts->networks, experts = networks + counts->experts, symbols = counts->symbols;
    const int64_t stride = ROUND_UP(counts->ids, WIDTH), size = ROUND_UP(symbols, WIDTH);
    float *p = floats, *log_p = p + experts * stride, *stem = log_p + experts * stride, *seen = stem + stride;
    float *hidden = seen + 3 * experts, *weights = hidden + counts->units;
    fetch_ahead(counts, contexts, 1);
    for (int64_t n = 0; n < networks; n++)
        normalise(logits + n * apart, p + n * stride, log_p + n * stride, symbols, size);
    likely(counts, contexts, p + networks * stride, stem, stride);
    for (int64_t k = networks; k < experts; k++) logarithms(p + k * stride, log_p + k * stride, symbols, size);
    for (int64_t k = 0; k < experts; k++) {
        seen[k] = -sum_of_products(p + k * stride, log_p + k * stride, size);
        seen[experts + k] = largest_of(log_p + k * stride, symbols);
    }
    for (int64_t k = 1; k < experts; k++)
        seen[2 * experts + k - 1] = -sum_of_products(p + k * stride, log_p, size) - seen[k];
    open_gate(counts, seen, hidden, weights);
    for (int64_t j = 0; j < symbols; j++) mixed[j] = weights[0] * log_p[j];
    for (int64_t k = 1; k < experts; k++)
        for (int64_t j = 0; j < symbols; j++) mixed[j] = mixed[j] + weights[k] * log_p[k * stride + j];
}

#endif
