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

/* Bytes of a vector of this instruction set; 0: there is no such set. */
int64_t charrnn_vector_of(int64_t set);

#endif
