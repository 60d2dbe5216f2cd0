/* Steps of training: all that stands between two matrix products of a window, forwards and back, in one pass over
   memory, and the product in front of it where there is one for the processor. window_cells.h has the formulas,
   window_products.h the products; models/kernels/compiled.py calls them.

   Unlike the steps of 8-bit networks these may differ by rounding between instruction sets: a product and a sum are one
   operation where there is one. */

#include "window.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno", "fp-contract=fast")
#elif defined(__clang__)
#pragma STDC FP_CONTRACT ON
#endif

/* -- numbers ------------------------------------------------------------------------------------------------------ */

static ALWAYS_INLINE float wide_fp32(float x) { return x; }
static ALWAYS_INLINE float narrow_fp32(float x) { return x; }
static ALWAYS_INLINE float wide_bf16(uint16_t x) { return bits_as_float((int32_t)((uint32_t)x << 16)); }

/* To the nearest, of two to the even one. What is no number stays none: those met here end in zeros. */
static ALWAYS_INLINE uint16_t narrow_bf16(float x) {
    const uint32_t bits = (uint32_t)float_as_bits(x);
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
    return bits_as_float((int32_t)((uint32_t)float_as_bits(series) + ((uint32_t)float_as_bits(whole) << 23)));
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

/* x (B, inputs) -> y (B, outputs), by panels of vectors whose columns are `apart`. */
typedef struct {
    int64_t inputs, outputs, apart, lanes;
    int vectors;   /* of a whole panel */
    int64_t units; /* of a whole panel */
} Shape;

/* Of units first to last - 1, which are one thread's, whose panels begin with the first. */
typedef struct {
    void (*multiply)(const Window *window, const Shape *shape, const void *x, int64_t first, int64_t last);
    void (*pack)(const Window *window, const Shape *shape, const void *weight, int64_t first, int64_t last, int back);
    int64_t lanes;
} Products;

static Shape shape_of(const Window *window, int64_t lanes, int back) {
    const int64_t size = window->hidden, gates = gates_of(window->cell);
    if (back || gates == 1)
        return (Shape){back ? gates * size : size, size, lanes, lanes, 4, 4 * lanes};
    return (Shape){size, gates * size, size, lanes, (int)gates, lanes};
}

/* Vectors of a panel in front of which so many units are left. */
static int vectors_of(const Shape *shape, int64_t left) {
    return left < shape->units ? (int)(left / shape->lanes) : shape->vectors;
}

#include "window_sets.h"

/* -- threads ------------------------------------------------------------------------------------------------------ */

/* One step, in parts of its units; `next` is the first that nobody has taken. */
typedef struct {
    const Window *window;
    int64_t t;
    const Products *products; /* nothing: the product is there */
    Cells cells;              /* nothing: the product alone */
    int back;
    int64_t parts, next;
    const char *caller;
} Step;

/* Where part `number` begins. */
#define UNITS 16
static int64_t begin_of(const Window *window, int64_t parts, int64_t number) {
    const int64_t unit = number * ((window->hidden + UNITS - 1) / UNITS) / parts * UNITS;
    return unit < window->hidden ? unit : window->hidden;
}

static void take_part(const Step *step, int64_t number) {
    const Window *window = step->window;
    const Part part = {
        step->t, begin_of(window, step->parts, number), begin_of(window, step->parts, number + 1)};
    const int64_t before = step->back ? step->t + 1 : step->t;
    if (step->products && before < window->steps) {
        const Shape shape = shape_of(window, step->products->lanes, step->back);
        const char *x = step->back ? window->gates : window->h;
        const int64_t bytes = before * window->rows * shape.inputs * (window->number ? 2 : 4);
        step->products->multiply(window, &shape, x + bytes, part.first, part.last);
    }
    if (step->cells) step->cells(window, &part);
}

#if defined(__GNUC__)
static _Thread_local char here;

/* The caller's part is the first: so it has the same units from step to step, whose weights are in its cache. */
static void share_parts(void *given) {
    Step *step = given;
    const int64_t number = step->caller == &here ? 0 : __atomic_fetch_add(&step->next, 1, __ATOMIC_RELAXED);
    if (number < step->parts) take_part(step, number);
}
#endif

/* The parts of a step are shared among as many threads; those for which no thread came, and without `together` all,
   are the caller's. */
static void take(Step step, Together together) {
    int64_t number = 0;
#if defined(__GNUC__)
    if (together && step.parts > 1) {
        step.caller = &here;
        step.next = 1;
        together(share_parts, &step, (unsigned)step.parts, 0);
        number = step.next;
    }
#endif
    (void)together;
    for (; number < step.parts; number++) take_part(&step, number);
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
    if (window->steps < 1 || window->rows < 1 || window->hidden < 1) return 0;
    if (parts < 1) return 0;
    if (!window->gates || !window->h || !window->product || (window->cell != RNN && !window->memory)) return 0;
    if (!back) return window->bias != NULL;
    if (!window->dy || !window->d_bias || (window->cell != RNN && !window->carried)) return 0;
    return window->cell != GRU || window->d_projected;
}

/* -- what is called ----------------------------------------------------------------------------------------------- */

/* Step t, whose product is there already: forth, gates, memory and h behind it; back, the gates' gradients. */
EXPORTED int64_t charrnn_step(int64_t set, const Window *window, int64_t back, int64_t t, int64_t parts,
                              Together together) {
    const int64_t vector = charrnn_vector_of(set);
    if (vector == 0) return BAD_SET;
    if (!fits(window, parts, back != 0) || t < 0 || t >= window->steps) return BAD_WINDOW;
    take((Step){window, t, NULL, cells_of(window, vector, back != 0), back != 0, parts, 0, NULL}, together);
    return DONE;
}

/* Whether steps can be made here with their products, in this number format. */
EXPORTED int64_t charrnn_has_products(int64_t set, int64_t number) {
    return products_of(charrnn_vector_of(set), number) != NULL;
}

/* Recurrent weights (G, H) -> the window's, which has room for as many, for products forth or back in so many parts. */
EXPORTED int64_t charrnn_pack(int64_t set, const Window *window, int64_t back, int64_t parts, const void *weight) {
    if (window->cell < RNN || window->cell > GRU || window->hidden < 1 || window->hidden % UNITS) return BAD_WINDOW;
    if (parts < 1 || !weight || !window->weight) return BAD_WINDOW;
    const Products *products = products_of(charrnn_vector_of(set), window->number);
    if (!products) return BAD_SET;
    const Shape shape = shape_of(window, products->lanes, back != 0);
    for (int64_t number = 0; number < parts; number++)
        products->pack(window, &shape, weight, begin_of(window, parts, number), begin_of(window, parts, number + 1),
                       back != 0);
    return DONE;
}

/* Steps first to last - 1 with their products, forth or back, of packed weights. When step 0 has been made on the way
   back, `product` holds the adjoint of the h before it. */
EXPORTED int64_t charrnn_steps(int64_t set, const Window *window, int64_t back, int64_t first, int64_t last,
                               int64_t parts, Together together) {
    const int64_t vector = charrnn_vector_of(set);
    if (!fits(window, parts, back != 0) || first < 0 || last > window->steps) return BAD_WINDOW;
    if (window->hidden % UNITS || !window->weight) return BAD_WINDOW;
    const Products *products = products_of(vector, window->number);
    if (!products) return BAD_SET;
    Step step = {window, 0, products, cells_of(window, vector, back != 0), back != 0, parts, 0, NULL};
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
