/* What Python hands over (see __init__.py, which has the same records), and what all instruction sets share.

   Shapes: B rows, H hidden, G gates x H, N a layer's products, V symbols of the vocabulary. */

#ifndef CHARRNN_NETWORK_H
#define CHARRNN_NETWORK_H

#include "library.h"

/* Weights lie in blocks of 16 outputs, in each the inputs by fours: (N / 16, H / 4, 16, 4). */
#define BLOCK 16
#define QUAD 4
#define ROUND_UP(number, unit) (((number) + (unit)-1) / (unit) * (unit))

/* A function has so many steps on its grid (see tables.py). */
#define POINTS 32768
#define POINTS_BITS 0x47000000 /* of (float)POINTS */

/* f(x) is values[x scale + shift], rounded down. */
typedef struct {
    const float *values; /* (POINTS + 1,) */
    float scale, shift;
} Function;

/* Where x stands on the grid: the nearest step; what is no number is at an end. Numbers above 0 are in the order of
   their bits, which are compared as whole numbers: one instruction for each bound. */
static ALWAYS_INLINE int32_t place_of(const Function *function, float x) {
    float place = x * function->scale;
    place = place + function->shift;
    int32_t bits;
    memcpy(&bits, &place, sizeof bits);
    bits = bits > 0 ? bits : 0;
    bits = bits < POINTS_BITS ? bits : POINTS_BITS;
    memcpy(&place, &bits, sizeof place);
    return (int32_t)place;
}

static ALWAYS_INLINE float look_up(const Function *function, float x) { return function->values[place_of(function, x)]; }

/* Entries of a table. The compiler's own way with several at once, out of vectors and into vectors, takes far longer. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((noinline, optimize("no-tree-vectorize", "no-tree-slp-vectorize", "unroll-loops")))
#endif
static void fetch(const Function *function, const int32_t *places, float *found, int64_t count) {
    const float *values = function->values;
#if defined(__clang__)
#pragma clang loop vectorize(disable)
#endif
    for (int64_t j = 0; j < count; j++) found[j] = values[places[j]];
}

/* A layer, and what multiplies its output: first its own recurrent weights (G), then those of what stands above. */
typedef struct {
    int64_t outputs;             /* N */
    const int8_t *weight;        /* (N / 16, H / 4, 16, 4), zeros where it ends in between */
    const float *scales;         /* (N rounded up,): what one level is worth */
    const int32_t *corrections;  /* (N rounded up,): added where outputs are read with 128 more: -128 times the sum */
    const float *bias;           /* of what stands above: (G,), of the last layer (V,) */
    const float *recurrent_bias; /* of a GRU (G,), else nothing */
    int64_t h, c, products;      /* where these stand in a row of the memory; without a c, that of h */
} Layer;

typedef struct {
    int64_t cell, gates, layers, hidden, symbols, tokens;
    int64_t stride;     /* numbers in a row of the memory */
    const float *table; /* (tokens, G): the first layer's input shares of the gates, with their biases */
    const Layer *layer; /* (layers,) */
    Function sigmoid, tanh;
} Network;

/* e^x by powers of two, 1024 to the octave. */
#define TO_STEPS -1477.3197218702985      /* -1024 / ln 2 */
#define FIRST_ORDER 0.0006769015435155716 /* ln 2 / 1024 */
#define SECOND_ORDER 2.290978498068816e-07 /* half its square */
#define THIRD_ORDER 5.169222938345892e-11 /* a sixth of its cube */
#define LAST_STEP 65535

/* How the symbols of a row are drawn: masks and penalties, temperature, filters. 0: off. */
typedef struct {
    const uint8_t *kept; /* (V,): which may come; nothing: all */
    double repetition;   /* 1: off */
    double frequency, presence;
    int64_t window;     /* of so many symbols these count; 0: all */
    double temperature; /* 0: the likeliest */
    int64_t top_k;
    double top_p, min_p, typical_p, eta, half_log_eta;
    const double *powers;            /* (1024,): 2^(-i / 1024) */
    Function exponential, logarithm; /* for mixtures: of what is not above 0, of 1/2 to 1 */
} Draw;

/* x (count,), none above 0 -> e^x, where it stands; a draw's powers, room for as many whole numbers. */
typedef void (*Exponentiate)(const double *powers, double *x, int32_t *step, int64_t count);

#endif
