/* Networks of 8-bit weights, one time step after another: see network.h for what stands where, step.h for the step.

   Each instruction set that the processor has gives the same. Nothing is kept between two calls, and nothing is read
   that was not handed over. */

#include "network.h"

/* Two operations are never made one (-ffp-contract=off, where it is compiled): NumPy makes them one by one. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno", "no-tree-pre")
#endif

#include "mixture.h"

/* -- any processor ------------------------------------------------------------------------------------------------ */

typedef struct {
    int32_t sum[BLOCK];
} Sums;

static ALWAYS_INLINE Sums no_sums(void) {
    Sums sums;
    memset(&sums, 0, sizeof sums);
    return sums;
}

static ALWAYS_INLINE void add_quads(Sums *sums, const int8_t *w, const int8_t *x) {
    for (int output = 0; output < BLOCK; output++)
        for (int input = 0; input < QUAD; input++) sums->sum[output] += (int32_t)w[output * QUAD + input] * x[input];
}

static ALWAYS_INLINE void store_sums(float *y, const Sums *sums, const float *scales) {
    for (int output = 0; output < BLOCK; output++) y[output] = (float)sums->sum[output] * scales[output];
}

#define NAME(f) f##_portable
#define TARGET
#define VECTOR Sums
#define LANES BLOCK
#define WEIGHTS const int8_t *
#define LOADED(w) (w)
#define BEGUN(corrections) no_sums()
#define ADD(sums, w, x) add_quads(&(sums), w, x)
#define STORE(y, sums, scales) store_sums(y, &(sums), scales)
#define FLIPPED 0
#define ROW_TILE 2
#define ONE_ROW_VECTORS 1
#define TILE_VECTORS 1
#include "step.h"

/* -- x86-64 ------------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1

/* 16 bits hold two products of 127 by 127: with the sign moved from the output to the weight, nothing saturates. */
#define AVX2 __attribute__((target("avx2")))
AVX2 static ALWAYS_INLINE __m256i add_avx2(__m256i sums, __m256i w, const int8_t *x) {
    const __m256i quad = _mm256_set1_epi32(word_at(x));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quad), _mm256_sign_epi8(w, quad));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#define NAME(f) f##_avx2
#define TARGET AVX2
#define VECTOR __m256i
#define LANES 8
#define WEIGHTS __m256i
#define LOADED(w) _mm256_loadu_si256((const __m256i *)(w))
#define BEGUN(corrections) _mm256_setzero_si256()
#define ADD(sums, w, x) sums = add_avx2(sums, w, x)
#define STORE(y, sums, scales) \
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales)))
#define FLIPPED 0
#define ROW_TILE 2
#define ONE_ROW_VECTORS 8
#define TILE_VECTORS 4
#include "step.h"

#if defined(__clang__) || __GNUC__ >= 11
#define AVX_VNNI __attribute__((target("avx2,avxvnni")))
#define NAME(f) f##_avx_vnni
#define TARGET AVX_VNNI
#define VECTOR __m256i
#define LANES 8
#define WEIGHTS __m256i
#define LOADED(w) _mm256_loadu_si256((const __m256i *)(w))
#define BEGUN(corrections) _mm256_loadu_si256((const __m256i *)(corrections))
#define ADD(sums, w, x) sums = _mm256_dpbusd_avx_epi32(sums, _mm256_set1_epi32(word_at(x)), w)
#define STORE(y, sums, scales) \
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales)))
#define FLIPPED 0x80
#define ROW_TILE 3
#define ONE_ROW_VECTORS 8
#define TILE_VECTORS 4
#include "step.h"
#endif

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define NAME(f) f##_avx512
#define TARGET AVX512
#define VECTOR __m512i
#define LANES 16
#define WEIGHTS __m512i
#define LOADED(w) _mm512_loadu_si512(w)
#define BEGUN(corrections) _mm512_loadu_si512(corrections)
#define ADD(sums, w, x) sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(word_at(x)), w)
#define STORE(y, sums, scales) \
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scales)))
#define FLIPPED 0x80
#define ROW_TILE 4
#define ONE_ROW_VECTORS 8
#define TILE_VECTORS 4
#include "step.h"
#endif

/* -- ARM ---------------------------------------------------------------------------------------------------------- */

#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#define NEON 1

static ALWAYS_INLINE int32x4_t add_neon(int32x4_t sums, int8x16_t w, const int8_t *x) {
    return vdotq_s32(sums, w, vreinterpretq_s8_s32(vdupq_n_s32(word_at(x))));
}

#define NAME(f) f##_neon
#define TARGET
#define VECTOR int32x4_t
#define LANES 4
#define WEIGHTS int8x16_t
#define LOADED(w) vld1q_s8(w)
#define BEGUN(corrections) vdupq_n_s32(0)
#define ADD(sums, w, x) sums = add_neon(sums, w, x)
#define STORE(y, sums, scales) vst1q_f32(y, vmulq_f32(vcvtq_f32_s32(sums), vld1q_f32(scales)))
#define FLIPPED 0
#define ROW_TILE 4
#define ONE_ROW_VECTORS 8
#define TILE_VECTORS 4
#include "step.h"
#endif

/* -- which of them ------------------------------------------------------------------------------------------------ */

typedef void (*Step)(const Network *, int64_t, const int64_t *, float *, float *, float *);

typedef void (*Mix)(const Counts *, const int64_t *, const float *, int64_t, float *, float *);

typedef struct {
    const char *name;
    int64_t vector; /* bytes */
    Step step;
    Mix mix;
    Exponentiate exponentiate;
} Set;

/* The best that this processor has comes first, the one that needs nothing last. */
static Set sets[5];
static int64_t sets_found = 0;

static void add_set(Set set, int here) {
    if (here) sets[sets_found++] = set;
}

#define SET(name, vector, f) ((Set){name, vector, step_##f, mix_##f, exponentiate_##f})

EXPORTED int64_t charrnn_find_sets(void) {
    sets_found = 0;
#if defined(X86)
    __builtin_cpu_init();
    add_set(SET("AVX-512 VNNI", 64, avx512),
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"));
#if defined(AVX_VNNI)
    add_set(SET("AVX-VNNI", 32, avx_vnni), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avxvnni"));
#endif
    add_set(SET("AVX2", 32, avx2), __builtin_cpu_supports("avx2"));
#endif
#if defined(NEON)
    add_set(SET("NEON", 16, neon), 1);
#endif
    add_set(SET("portable", 16, portable), 1);
    return sets_found;
}

int64_t charrnn_vector_of(int64_t set) { return set >= 0 && set < sets_found ? sets[set].vector : 0; }

EXPORTED const char *charrnn_set_name(int64_t set) { return set >= 0 && set < sets_found ? sets[set].name : NULL; }

/* -- steps -------------------------------------------------------------------------------------------------------- */

/* Whether what a network says of itself fits together, so that nothing is read or written outside of it. */
static int fits(const Network *network) {
    const int64_t size = network->hidden;
    if (network->cell < RNN || network->cell > GRU || network->gates != gates_of(network->cell)) return 0;
    if (network->layers < 1 || size < 1 || network->symbols < 1 || network->tokens < 1) return 0;
    for (int64_t number = 0; number < network->layers; number++) {
        const Layer *layer = &network->layer[number];
        const int64_t own = network->gates * size, last = number + 1 == network->layers;
        if (layer->outputs != own + (last ? network->symbols : own)) return 0;
        if (layer->h < 0 || layer->c < 0 || layer->products < 0) return 0;
        if (layer->h + size > network->stride || layer->c + size > network->stride) return 0;
        if (layer->products + ROUND_UP(layer->outputs, BLOCK) > network->stride) return 0;
        if (network->cell == GRU && !layer->recurrent_bias) return 0;
    }
    return 1;
}

static int64_t scratch_size(const Network *network, int64_t rows) {
    return 3 * network->gates * network->hidden + rows * ROUND_UP(network->hidden, QUAD) / 4;
}

static int tokens_are_known(const Network *network, int64_t rows, const int64_t *tokens) {
    for (int64_t row = 0; row < rows; row++)
        if (tokens[row] < 0 || tokens[row] >= network->tokens) return 0;
    return 1;
}

/* Read texts side by side: tokens (steps, B), memory (B, stride), changed in place -> logits (steps, B, V). */
EXPORTED int64_t charrnn_read(int64_t set, const Network *network, int64_t rows, int64_t steps, const int64_t *tokens,
                              float *memory, float *logits) {
    if (set < 0 || set >= sets_found) return BAD_SET;
    if (!fits(network)) return BAD_NETWORK;
    if (!tokens_are_known(network, steps * rows, tokens)) return BAD_TOKEN;
    float *scratch = calloc((size_t)scratch_size(network, rows), sizeof(float));
    if (!scratch) return NO_MEMORY;
    for (int64_t step = 0; step < steps; step++)
        sets[set].step(network, rows, tokens + step * rows, memory, logits + step * rows * network->symbols, scratch);
    free(scratch);
    return DONE;
}

/* -- counts -------------------------------------------------------------------------------------------------------- */

/* What counts remember of rows, where these are now, and what is worked with. */
typedef struct {
    const Counts *counts;
    int64_t *places, *memory, *contexts;
    float *floats;
} Counting;

/* A whole one, whose `contexts` are to be freed with its `floats`; without counts, nothing. */
static int64_t begin_counting(Counting *counting, const Counts *counts, int64_t rows, int64_t *places,
                              int64_t *memory) {
    *counting = (Counting){counts, places, memory, NULL, NULL};
    if (!counts) return DONE;
    if (!counts_fit(counts)) return BAD_COUNTS;
    counting->contexts = malloc((size_t)(rows * counts_places(counts)) * sizeof(int64_t));
    counting->floats = calloc((size_t)counts_floats(counts), sizeof(float));
    return counting->contexts && counting->floats ? DONE : NO_MEMORY;
}

static void end_counting(Counting *counting) {
    free(counting->contexts);
    free(counting->floats);
}

static int64_t *contexts_of(const Counting *counting, int64_t row) {
    return counting->contexts + row * counts_places(counting->counts);
}

/* One more token of each row. */
static void find_rows(const Counting *counting, int64_t rows, const int64_t *tokens) {
    for (int64_t row = 0; counting->counts && row < rows; row++)
        find_row(counting->counts, tokens[row], counting->places + row * counting->counts->lengths,
                 counting->memory + row * WORD_MEMORY, contexts_of(counting, row));
}

static void count_row(int64_t set, const Counting *counting, int64_t row, const float *logits, int64_t apart,
                      float *mixed) {
    sets[set].mix(counting->counts, contexts_of(counting, row), logits, apart, mixed, counting->floats);
}

/* What M networks hold likely behind each token of texts side by side -> what they and counts do: tokens and logits
   (steps, B), (steps, B, M V), mixed (steps, B, V); places (B, lengths) and memory (B, 5) are changed in place. */
EXPORTED int64_t charrnn_count(int64_t set, const Counts *counts, int64_t rows, int64_t steps, const int64_t *tokens,
                               int64_t *places, int64_t *memory, const float *logits, float *mixed) {
    if (set < 0 || set >= sets_found) return BAD_SET;
    for (int64_t at = 0; at < steps * rows; at++)
        if (tokens[at] < 0) return BAD_TOKEN;
    Counting counting;
    const int64_t status = begin_counting(&counting, counts, rows, places, memory);
    for (int64_t step = 0; status == DONE && step < steps; step++) {
        find_rows(&counting, rows, tokens + step * rows);
        for (int64_t row = 0; row < rows; row++) {
            const int64_t at = step * rows + row, symbols = counts->symbols;
            count_row(set, &counting, row, logits + at * counts->networks * symbols, symbols, mixed + at * symbols);
        }
    }
    end_counting(&counting);
    return status;
}

#include "draw.h"

/* Draw and read what was drawn, `steps` times: logits (B, V) of what comes first, in the end of what comes next;
   uniforms (B, steps), `draw` one a row, memories each as for its network -> ids (B, steps), and what `tell` says of
   them (B, steps, 2), where that is asked for. Several networks are averaged; beside counts, where there are such, logits
   are the mixture's, of their mean or of each; places and memory as for `charrnn_count`. Where penalties are on, used
   (B, V) says how often each symbol was, and is kept up; leaving (B, steps) what leaves the window of what was there
   before, or -1. */
EXPORTED int64_t charrnn_write(int64_t set, int64_t count, const Network *const *networks, float *const *memories,
                               const Counts *counts, int64_t *places, int64_t *memory, const Draw *draw, int64_t rows,
                               int64_t steps, float *logits, const double *uniforms, int64_t *ids, double *told,
                               double *used, const int64_t *leaving) {
    if (set < 0 || set >= sets_found) return BAD_SET;
    const int64_t symbols = networks[0]->symbols;
    int64_t most = 0;
    for (int64_t n = 0; n < count; n++) {
        const int64_t size = scratch_size(networks[n], rows);
        if (!fits(networks[n]) || networks[n]->symbols != symbols) return BAD_NETWORK;
        if (networks[n]->tokens < symbols) return BAD_TOKEN; /* what is drawn is read */
        most = size > most ? size : most;
    }
    float *scratch = calloc((size_t)(most + (count > 1 ? count * rows * symbols : 0)), sizeof(float));
    double *room = room_for_row(symbols);
    int64_t *tokens = malloc((size_t)rows * sizeof(int64_t));
    Counting counting;
    int64_t status = begin_counting(&counting, counts, rows, places, memory);
    const int apart = counts && counts->networks > 1;
    if (status == DONE && counts && counts->symbols != symbols) status = BAD_COUNTS;
    if (status == DONE && apart && counts->networks != count) status = BAD_COUNTS;
    if (!scratch || !room || !tokens) status = NO_MEMORY;
    const Row one = row_in(room, symbols, sets[set].exponentiate);
    for (int64_t step = 0; status == DONE && step < steps; step++) {
        for (int64_t row = 0; row < rows; row++) {
            const float *own = logits + row * symbols;
            int64_t *found = ids + row * steps;
            double *own_used = used ? used + row * symbols : NULL;
            tokens[row] = found[step] = drawn(draw + row, own, own_used, uniforms[row * steps + step], &one);
            if (used) keep_up(draw + row, own_used, symbols, step, found, leaving + row * steps);
            if (told) tell(draw + row, own, tokens[row], &one, told + 2 * (row * steps + step));
        }
        find_rows(&counting, rows, tokens);
        for (int64_t n = 0; n < count; n++)
            sets[set].step(networks[n], rows, tokens, memories[n],
                           count > 1 ? scratch + most + n * rows * symbols : logits, scratch);
        if (count > 1 && !apart)
            for (int64_t row = 0; row < rows; row++)
                mix(draw, count, scratch + most + row * symbols, rows * symbols, symbols, logits + row * symbols,
                    room);
        for (int64_t row = 0; counts && row < rows; row++)
            count_row(set, &counting, row, (apart ? scratch + most : logits) + row * symbols, rows * symbols,
                      logits + row * symbols);
    }
    end_counting(&counting);
    free(scratch);
    free(room);
    free(tokens);
    return status;
}

/* With which form of the records this was built (FORM in __init__.py). */
EXPORTED int64_t charrnn_form(void) { return 8; }
