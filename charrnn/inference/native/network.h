/* What Python hands over (see __init__.py, which has the same records), and what all instruction sets share.

   Shapes: B rows, H hidden, G gates x H, N a layer's products, V symbols of the vocabulary. */

#ifndef CHARRNN_NETWORK_H
#define CHARRNN_NETWORK_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_MSC_VER)
#define ALWAYS_INLINE __forceinline
#define restrict __restrict
#define EXPORTED __declspec(dllexport)
#else
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define EXPORTED __attribute__((visibility("default")))
#endif

/* Weights lie in blocks of 16 outputs, in each the inputs by fours: (N / 16, H / 4, 16, 4). */
#define BLOCK 16
#define QUAD 4
#define ROUND_UP(number, unit) (((number) + (unit)-1) / (unit) * (unit))

/* A function has so many steps on its grid (see tables.py). */
#define POINTS 32768

enum { RNN = 0, LSTM = 1, GRU = 2 };

/* f(x) is values[x scale + shift], rounded down. */
typedef struct {
    const float *values; /* (POINTS + 1,) */
    float scale, shift;
} Function;

/* The nearest entry; what is no number finds the first. */
static ALWAYS_INLINE float look_up(const Function *function, float x) {
    float place = x * function->scale;
    place = place + function->shift;
    place = place > 0.0f ? place : 0.0f;
    place = place < (float)POINTS ? place : (float)POINTS;
    return function->values[(int32_t)place];
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

/* How the symbols of a row are drawn. */
typedef struct {
    double temperature;     /* 0: the likeliest */
    int64_t top_k;          /* 0: all */
    double top_p, min_p;    /* 0: off */
    const double *powers;   /* (1024,): 2^(-i / 1024) */
    Function exponential, logarithm; /* for mixtures: of what is not above 0, of 1/2 to 1 */
} Draw;

#endif
