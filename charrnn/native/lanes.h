/* 16 numbers of float32 side by side: one vector of the widest set, several of the others; of compilers that have no
   such type, an array. All of them round each operation by itself, so they give the same to the bit. */

#ifndef CHARRNN_LANES_H
#define CHARRNN_LANES_H

#include "library.h"

#define WIDTH 16

#if defined(__GNUC__) && !defined(CHARRNN_PLAIN_LANES)

typedef float Lanes __attribute__((vector_size(4 * WIDTH)));
typedef int32_t WholeLanes __attribute__((vector_size(4 * WIDTH)));

static ALWAYS_INLINE Lanes all(float x) { return (Lanes){0} + x; }
static ALWAYS_INLINE Lanes plus(Lanes a, Lanes b) { return a + b; }
static ALWAYS_INLINE Lanes minus(Lanes a, Lanes b) { return a - b; }
static ALWAYS_INLINE Lanes times(Lanes a, Lanes b) { return a * b; }
static ALWAYS_INLINE Lanes over(Lanes a, Lanes b) { return a / b; }

/* a where `which`, else b. */
static ALWAYS_INLINE Lanes chosen(WholeLanes which, Lanes a, Lanes b) {
    return (Lanes)((which & (WholeLanes)a) | (~which & (WholeLanes)b));
}

static ALWAYS_INLINE Lanes larger(Lanes a, Lanes b) { return chosen(a > b, a, b); }

/* The first `count` of them, and zeros. */
static ALWAYS_INLINE Lanes first_of(Lanes x, int64_t count) {
    const WholeLanes numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (Lanes)((numbers < (int32_t)(count < WIDTH ? count : WIDTH)) & (WholeLanes)x);
}

/* x > 0 as mantissa 2^octaves, the mantissa from 1/2 to 1. */
static ALWAYS_INLINE Lanes mantissa_of(Lanes x, Lanes *octaves) {
    *octaves = __builtin_convertvector(((WholeLanes)x >> 23) - 126, Lanes);
    return (Lanes)(((WholeLanes)x & 0x7FFFFF) | 0x3F000000);
}

/* a where x < y, else b. */
static ALWAYS_INLINE Lanes if_less(Lanes x, Lanes y, Lanes a, Lanes b) { return chosen(x < y, a, b); }

/* The whole number at or below x, of which *power becomes 2 to that. */
static ALWAYS_INLINE Lanes floor_of(Lanes x, Lanes *power) {
    WholeLanes whole = __builtin_convertvector(x, WholeLanes);
    whole = whole + (__builtin_convertvector(whole, Lanes) > x);
    *power = (Lanes)((whole + 127) << 23);
    return __builtin_convertvector(whole, Lanes);
}

static ALWAYS_INLINE Lanes without_sign(Lanes x) { return (Lanes)((WholeLanes)x & INT32_MAX); }
static ALWAYS_INLINE Lanes with_sign_of(Lanes x, Lanes sign) {
    return chosen((WholeLanes){0} + INT32_MAX, x, sign);
}

#else

typedef struct {
    float of[WIDTH];
} Lanes;

#define EACH_LANE for (int lane = 0; lane < WIDTH; lane++)
#define LANE_BY_LANE(name, arguments, value) \
    static ALWAYS_INLINE Lanes name arguments { \
        Lanes found; \
        EACH_LANE found.of[lane] = value; \
        return found; \
    }

LANE_BY_LANE(all, (float x), x)
LANE_BY_LANE(plus, (Lanes a, Lanes b), a.of[lane] + b.of[lane])
LANE_BY_LANE(minus, (Lanes a, Lanes b), a.of[lane] - b.of[lane])
LANE_BY_LANE(times, (Lanes a, Lanes b), a.of[lane] * b.of[lane])
LANE_BY_LANE(over, (Lanes a, Lanes b), a.of[lane] / b.of[lane])
LANE_BY_LANE(larger, (Lanes a, Lanes b), a.of[lane] > b.of[lane] ? a.of[lane] : b.of[lane])
LANE_BY_LANE(first_of, (Lanes x, int64_t count), lane < count ? x.of[lane] : 0.0f)
LANE_BY_LANE(if_less, (Lanes x, Lanes y, Lanes a, Lanes b), x.of[lane] < y.of[lane] ? a.of[lane] : b.of[lane])
LANE_BY_LANE(without_sign, (Lanes x), fabsf(x.of[lane]))
LANE_BY_LANE(with_sign_of, (Lanes x, Lanes sign), copysignf(x.of[lane], sign.of[lane]))

static ALWAYS_INLINE Lanes mantissa_of(Lanes x, Lanes *octaves) {
    EACH_LANE {
        const int32_t bits = float_as_bits(x.of[lane]);
        octaves->of[lane] = (float)((bits >> 23) - 126);
        x.of[lane] = bits_as_float((bits & 0x7FFFFF) | 0x3F000000);
    }
    return x;
}

static ALWAYS_INLINE Lanes floor_of(Lanes x, Lanes *power) {
    EACH_LANE {
        int32_t whole = (int32_t)x.of[lane];
        whole -= (float)whole > x.of[lane];
        power->of[lane] = bits_as_float((int32_t)((uint32_t)(whole + 127) << 23));
        x.of[lane] = (float)whole;
    }
    return x;
}

#endif

static ALWAYS_INLINE Lanes lanes_at(const float *x) {
    Lanes found;
    memcpy(&found, x, sizeof found);
    return found;
}

/* Only so many of them, and others that are not to be looked at. */
static ALWAYS_INLINE Lanes some_at(const float *x, int64_t count) {
    Lanes found = all(0.0f);
    if (count >= WIDTH) return lanes_at(x);
    memcpy(&found, x, (size_t)count * sizeof *x);
    return found;
}

static ALWAYS_INLINE void put_lanes(float *x, Lanes lanes) { memcpy(x, &lanes, sizeof lanes); }

static ALWAYS_INLINE void put_some(float *x, Lanes lanes, int64_t count) {
    if (count >= WIDTH) put_lanes(x, lanes);
    else memcpy(x, &lanes, (size_t)count * sizeof *x);
}

#endif
