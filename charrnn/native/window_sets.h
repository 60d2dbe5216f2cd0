/* Products of a window for each set of instructions and number format, and which of them there are: see
   window_products.h for what each says of itself. Included by window.c. */

#if defined(__GNUC__)
/* Vectors of four numbers, which every processor has or is given by the compiler. */
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
#define NAME(f) f##_fp32_portable
#define TARGET
#define VECTOR Four
#define LANES 4
#define ROWS(vectors) ((vectors) == 4 ? 3 : (vectors) == 3 ? 4 : 6)
#include "window_fp32.h"
#define ANY 1
#endif

#if defined(X86)
typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
#define NAME(f) f##_fp32_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define VECTOR Eight
#define LANES 8
#define ROWS(vectors) ((vectors) == 4 ? 3 : (vectors) == 3 ? 4 : 6)
#include "window_fp32.h"

typedef float Sixteen __attribute__((vector_size(64), aligned(4), may_alias));
#define NAME(f) f##_fp32_avx512
#define TARGET __attribute__((target("avx512f,fma,avx512bw,avx512vl,avx512dq")))
#define VECTOR Sixteen
#define LANES 16
#define ROWS(vectors) ((vectors) == 4 ? 6 : 8)
#include "window_fp32.h"

#if defined(__clang__) || __GNUC__ >= 10
#include <cpuid.h>
#include <immintrin.h>
#define BF16_PRODUCTS 1
/* Pairs of bf16 are multiplied and added to a sum of 32 bits. */
#define NAME(f) f##_bf16_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define NUMBER uint16_t
#define AT_ONCE 2
#define VECTOR __m512
#define LANES 16
#define WEIGHTS __m512i
#define INPUTS __m512i
#define LOADED(w) _mm512_loadu_si512(w)
#define SPREAD(x) _mm512_set1_epi32(word_at(x))
#define ADD(sums, x, w) sums = _mm512_dpbf16_ps(sums, (__m512bh)(x), (__m512bh)(w))
#define STORE(y, sums) _mm256_storeu_si256((__m256i *)(y), (__m256i)_mm512_cvtneps_pbh(sums))
#define ROWS(vectors) ((vectors) == 4 ? 6 : 8)
#include "window_products.h"

/* A processor with a unit for whole matrices (AMX) has faster products in oneDNN. */
static int multiplies_bf16(void) {
    static int known = -1; /* a virtual machine is left for each question to the processor */
    if (known < 0) {
        unsigned a, b, c, d;
        __builtin_cpu_init();
        const int whole_matrices = __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1;
        known = !whole_matrices && __builtin_cpu_supports("avx512bf16");
    }
    return known;
}
#endif
#endif

/* Those of an instruction set, by its vectors, and of a number format; nothing where there are none. */
static const Products *products_of(int64_t vector, int64_t number) {
#if defined(BF16_PRODUCTS)
    if (number == 1) return vector >= 64 && multiplies_bf16() ? &products_bf16_avx512 : NULL;
#endif
#if defined(X86)
    if (number == 0 && vector >= 64) return &products_fp32_avx512;
    if (number == 0 && vector >= 32 && __builtin_cpu_supports("fma")) return &products_fp32_avx2;
#endif
#if defined(ANY)
    if (number == 0 && vector > 0) return &products_fp32_portable;
#endif
    return NULL;
}
