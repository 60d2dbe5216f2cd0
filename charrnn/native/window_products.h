/* Recurrent products of a step in bf16, for processors that multiply pairs of it (AVX-512 BF16): weights are packed once
   for a window, and each thread has its own units, so its share of the weights stays in the caches next to it.

   A product's columns are taken by vectors of 16, up to 4 side by side: those of one cell's gates, so that a thread
   which has a unit has all gates of it; backwards those of 64 units. Panels lie one after another, in each the inputs by
   pairs: (inputs / 2, vectors, 16, 2). Units are a multiple of 16. */

#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
#include <cpuid.h>
#include <immintrin.h>
#define PRODUCTS 1
#define BFLOAT __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

/* A processor with a unit for whole matrices (AMX) has faster ones in oneDNN. */
static int products_are_here(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || d >> 22 & 1) return 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* One product: x (B, inputs) -> y (B, outputs), by panels of vectors whose columns are `apart`. */
typedef struct {
    int64_t inputs, outputs, units; /* units of a whole panel */
    int vectors;                    /* of a whole panel */
    int64_t apart;
} Shape;

static Shape shape_of(const Window *window, int back) {
    const int64_t size = window->hidden, gates = window->cell == LSTM ? 4 : window->cell == GRU ? 3 : 1;
    if (back) return (Shape){gates * size, size, 4 * LANES, 4, LANES};
    if (gates == 1) return (Shape){size, size, 4 * LANES, 4, LANES};
    return (Shape){size, gates * size, LANES, (int)gates, size};
}

BFLOAT static ALWAYS_INLINE void product_tile(const Shape *shape, const uint16_t *x, const uint16_t *weight, uint16_t *y,
                                              const int rows, const int vectors) {
    __m512 sums[MOST_SUMS];
    for (int i = 0; i < rows * vectors; i++) sums[i] = _mm512_setzero_ps();
    for (int64_t at = 0; at < shape->inputs; at += 2, weight += vectors * 2 * LANES) {
        __m512i w[4];
        for (int v = 0; v < vectors; v++) w[v] = _mm512_loadu_si512(weight + v * 2 * LANES);
        for (int row = 0; row < rows; row++) {
            int32_t pair;
            memcpy(&pair, x + row * shape->inputs + at, sizeof pair);
            const __m512i both = _mm512_set1_epi32(pair);
            for (int v = 0; v < vectors; v++)
                sums[row * vectors + v] =
                    _mm512_dpbf16_ps(sums[row * vectors + v], (__m512bh)both, (__m512bh)w[v]);
        }
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++)
            _mm256_storeu_si256((__m256i *)(y + row * shape->outputs + v * shape->apart),
                                (__m256i)_mm512_cvtneps_pbh(sums[row * vectors + v]));
}

BFLOAT static ALWAYS_INLINE void product_rows(const Shape *shape, const uint16_t *x, const uint16_t *weight, uint16_t *y,
                                              int64_t rows, const int at_once, const int vectors) {
    int64_t row = 0;
    for (; row + at_once <= rows; row += at_once)
        product_tile(shape, x + row * shape->inputs, weight, y + row * shape->outputs, at_once, vectors);
    for (; row + 4 <= rows; row += 4)
        product_tile(shape, x + row * shape->inputs, weight, y + row * shape->outputs, 4, vectors);
    for (; row < rows; row++)
        product_tile(shape, x + row * shape->inputs, weight, y + row * shape->outputs, 1, vectors);
}

/* Units first to last - 1, of whole panels but for the very last. */
BFLOAT static void multiply(const Window *window, const uint16_t *x, int64_t first, int64_t last, int back) {
    const Shape shape = shape_of(window, back);
    for (int64_t unit = first; unit < last; unit += shape.units) {
        const uint16_t *weight = window->weight + unit * (shape.outputs / window->hidden) * shape.inputs;
        uint16_t *y = (uint16_t *)window->product + unit;
        const int64_t left = (window->hidden - unit) / LANES;
        const int vectors = shape.units > LANES && left < shape.vectors ? (int)left : shape.vectors;
        if (vectors == 4) product_rows(&shape, x, weight, y, window->rows, 6, 4);
        if (vectors == 3) product_rows(&shape, x, weight, y, window->rows, 8, 3);
        if (vectors == 2) product_rows(&shape, x, weight, y, window->rows, 8, 2);
        if (vectors == 1) product_rows(&shape, x, weight, y, window->rows, 8, 1);
    }
}

/* Recurrent weights (G, H) -> packed for the way forth, or back. */
static void pack(const Window *window, const uint16_t *weight, uint16_t *packed, int back) {
    const Shape shape = shape_of(window, back);
    for (int64_t unit = 0; unit < window->hidden; unit += shape.units) {
        const int64_t left = (window->hidden - unit) / LANES;
        const int64_t vectors = shape.units > LANES && left < shape.vectors ? left : shape.vectors;
        for (int64_t at = 0; at < shape.inputs; at += 2)
            for (int64_t v = 0; v < vectors; v++)
                for (int64_t lane = 0; lane < LANES; lane++) {
                    const int64_t column = unit + v * shape.apart + lane;
                    const uint16_t *from = back ? weight + at * window->hidden + column : weight + column * window->hidden + at;
                    *packed++ = from[0];
                    *packed++ = from[back ? window->hidden : 1];
                }
    }
}
#endif
