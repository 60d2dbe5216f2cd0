/* Steps of training: all that stands between two matrix products of a window, forwards and back, in one pass over
   memory. window.h has the formulas, models/kernels/compiled.py the loop and the products.

   Unlike the steps of 8-bit networks these may differ by rounding between instruction sets: a product and a sum are one
   operation where there is one. */

#include "window.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno", "fp-contract=fast")
#endif

/* -- numbers ------------------------------------------------------------------------------------------------------ */

static ALWAYS_INLINE float of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static ALWAYS_INLINE uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static ALWAYS_INLINE float wide_fp32(float x) { return x; }
static ALWAYS_INLINE float narrow_fp32(float x) { return x; }
static ALWAYS_INLINE float wide_bf16(uint16_t x) { return of_bits((uint32_t)x << 16); }

/* To the nearest, of two to the even one. What is no number stays none: those met here end in zeros. */
static ALWAYS_INLINE uint16_t narrow_bf16(float x) {
    const uint32_t bits = to_bits(x);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* 2^x for x held within -126 and 126: a whole power, made of the exponent's bits, times the Taylor series of the rest,
   which is within 1/2 of 0. Right to 2e-7 of itself; what is no number passes all of it. */
#define ROUNDS 12582912.0f /* 1.5 2^23: added and taken away it leaves the nearest whole number */
static ALWAYS_INLINE float power_of_two(float x) {
    x = x < -126.0f ? -126.0f : x;
    x = x > 126.0f ? 126.0f : x;
    const float whole = x + ROUNDS;
    const float rest = x - (whole - ROUNDS);
    float series = 1.5403530e-4f;
    series = series * rest + 1.3333558e-3f;
    series = series * rest + 9.6181291e-3f;
    series = series * rest + 5.5504109e-2f;
    series = series * rest + 2.4022651e-1f;
    series = series * rest + 6.9314718e-1f;
    series = series * rest + 1.0f;
    return of_bits(to_bits(series) + (to_bits(whole) << 23));
}

#define LOG2_E 1.44269504f
static ALWAYS_INLINE float sigmoid(float x) { return 1.0f / (1.0f + power_of_two(-LOG2_E * x)); }
static ALWAYS_INLINE float hyperbolic_tangent(float x) {
    return 2.0f / (1.0f + power_of_two(-2.0f * LOG2_E * x)) - 1.0f;
}

/* -- instruction sets, number formats ----------------------------------------------------------------------------- */

#define TARGET
#define SET(f) f##_portable
#include "window_steps.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TARGET __attribute__((target("avx2,fma")))
#define SET(f) f##_avx2
#include "window_steps.h"

#define TARGET __attribute__((target("avx512f,fma,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define SET(f) f##_avx512
#include "window_steps.h"
#define X86 1
#endif

/* -- products ----------------------------------------------------------------------------------------------------- */

#define LANES 16
#define MOST_SUMS 24
#include "window_products.h"

/* -- threads ------------------------------------------------------------------------------------------------------ */

/* One step, in parts of its units. `next` is the first that nobody has taken. */
typedef struct {
    const Window *window;
    int64_t t;
    Cells cells;        /* nothing: the product alone */
    int back;
    int64_t parts, next;
} Step;

/* Where part `number` begins: whole panels of a product back have 64 units. */
#define UNITS 64
static int64_t begin_of(const Step *step, int64_t number) {
    const int64_t size = step->window->hidden, panels = (size + UNITS - 1) / UNITS;
    const int64_t unit = number * panels / step->parts * UNITS;
    return unit < size ? unit : size;
}

static void take_parts(void *given) {
    Step *step = given;
    const Window *window = step->window;
    for (;;) {
#if defined(__GNUC__)
        const int64_t number = __atomic_fetch_add(&step->next, 1, __ATOMIC_RELAXED);
#else
        const int64_t number = step->next++;
#endif
        if (number >= step->parts) return;
        const Part part = {step->t, begin_of(step, number), begin_of(step, number + 1)};
#if defined(PRODUCTS)
        if (window->weight) {
            const Shape shape = shape_of(window, step->back);
            const uint16_t *x = step->back ? window->gates : window->h;
            const int64_t before = step->back ? step->t + 1 : step->t;
            if (before < window->steps)
                multiply(window, x + before * window->rows * shape.inputs, part.first, part.last, step->back);
        }
#endif
        if (step->cells) step->cells(window, &part);
    }
}

/* The parts of a step are shared among as many threads; without `together` the caller's does them all. */
static void take(Step step, Together together) {
    if (together && step.parts > 1)
        together(take_parts, &step, (unsigned)step.parts, 0);
    else
        take_parts(&step);
}

static Cells cells_of(const Window *window, int64_t vector, int back) {
    const int64_t which = 3 * window->number + window->cell;
#if defined(X86)
    if (vector >= 64) return back ? back_avx512[which] : forth_avx512[which];
    if (vector >= 32 && __builtin_cpu_supports("fma")) return back ? back_avx2[which] : forth_avx2[which];
#else
    (void)vector;
#endif
    return back ? back_portable[which] : forth_portable[which];
}

/* Whether all that a step reads and writes is there. */
static int fits(const Window *window, int64_t parts, int back) {
    if (window->cell < RNN || window->cell > GRU || window->number < 0 || window->number > 1) return 0;
    if (window->steps < 1 || window->rows < 1 || window->hidden < 1 || parts < 1) return 0;
    if (!window->gates || !window->h || !window->product || (window->cell != RNN && !window->memory)) return 0;
    if (!back) return window->bias != NULL;
    if (!window->dy || !window->d_bias || (window->cell != RNN && !window->carried)) return 0;
    return window->cell != GRU || window->d_projected;
}

/* -- what is called ----------------------------------------------------------------------------------------------- */

enum { DONE = 0, BAD_SET = 3, BAD_WINDOW = 6 };

/* Step t, whose product is there already: forth, gates, memory and h behind it; back, the gates' gradients. */
EXPORTED int64_t charrnn_step(int64_t set, const Window *window, int64_t back, int64_t t, int64_t parts,
                              Together together) {
    const int64_t vector = charrnn_vector_of(set);
    if (vector == 0) return BAD_SET;
    if (!fits(window, parts, back != 0) || t < 0 || t >= window->steps || window->weight) return BAD_WINDOW;
    take((Step){window, t, cells_of(window, vector, back != 0), back != 0, parts, 0}, together);
    return DONE;
}

/* Whether this processor can make steps with their products. */
EXPORTED int64_t charrnn_has_products(void) {
#if defined(PRODUCTS)
    return products_are_here();
#else
    return 0;
#endif
}

/* Recurrent weights (G, H) in bf16 -> `packed`, of as many numbers, for the products forth or back. */
EXPORTED int64_t charrnn_pack(int64_t set, const Window *window, int64_t back, const uint16_t *weight,
                              uint16_t *packed) {
    (void)set;
    if (window->cell < RNN || window->cell > GRU || window->hidden < 1 || window->hidden % LANES || !weight || !packed)
        return BAD_WINDOW;
#if defined(PRODUCTS)
    pack(window, weight, packed, back != 0);
    return DONE;
#else
    (void)back;
    return BAD_SET;
#endif
}

/* Steps first to last - 1 with their products, forth or back, of packed weights. When step 0 has been made on the way
   back, `product` holds the adjoint of the h before it. */
EXPORTED int64_t charrnn_steps(int64_t set, const Window *window, int64_t back, int64_t first, int64_t last,
                               int64_t parts, Together together) {
    const int64_t vector = charrnn_vector_of(set);
    if (vector == 0 || !charrnn_has_products()) return BAD_SET;
    if (!fits(window, parts, back != 0) || first < 0 || last > window->steps) return BAD_WINDOW;
    if (window->number != 1 || window->hidden % LANES || !window->weight) return BAD_WINDOW;
    Step step = {window, 0, cells_of(window, vector, back != 0), back != 0, parts, 0};
    for (int64_t number = first; number < last; number++) {
        step.t = back ? last - 1 - (number - first) : number;
        take(step, together);
    }
    if (back && first == 0) {
        step.t = -1;
        step.cells = NULL;
        take(step, together);
    }
    return DONE;
}
