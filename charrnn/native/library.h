/* What every part of the library says alike, whatever the compiler. */

#ifndef CHARRNN_LIBRARY_H
#define CHARRNN_LIBRARY_H

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

/* A function that is not put into its caller, where its pointers would lose what `restrict` says of them. */
#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif

enum { RNN = 0, LSTM = 1, GRU = 2 };

static ALWAYS_INLINE int64_t gates_of(int64_t cell) { return cell == LSTM ? 4 : cell == GRU ? 3 : 1; }

/* What a function answers (REFUSALS in __init__.py). */
enum { DONE = 0, NO_MEMORY = 1, BAD_TOKEN = 2, BAD_SET = 3, BAD_NETWORK = 4, BAD_COUNTS = 5, BAD_WINDOW = 6 };

static ALWAYS_INLINE float bits_as_float(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static ALWAYS_INLINE int32_t float_as_bits(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Four bytes from anywhere. */
static ALWAYS_INLINE int32_t word_at(const void *place) {
    int32_t word;
    memcpy(&word, place, sizeof word);
    return word;
}

/* Bytes of a vector of this instruction set; 0: there is no such set. */
int64_t charrnn_vector_of(int64_t set);

#endif
