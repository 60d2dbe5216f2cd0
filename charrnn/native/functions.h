/* e^x, ln x, tanh and sums of float32 numbers, as models/counts/functions.py has them: single operations in NumPy's
   order, sums in 16 lanes. */

#ifndef CHARRNN_FUNCTIONS_H
#define CHARRNN_FUNCTIONS_H

#include "lanes.h"

/* y x + c: one step through a polynomial, by Horner's rule. */
static ALWAYS_INLINE Lanes next_power(Lanes y, Lanes x, float c) { return plus(times(y, x), all(c)); }

static ALWAYS_INLINE Lanes exp_of(Lanes x) {
    Lanes power;
    x = larger(x, all(-87.0f));
    const Lanes octaves = floor_of(plus(times(x, all(1.44269504f)), all(0.5f)), &power);
    x = minus(x, times(octaves, all(0.693359375f)));
    x = minus(x, times(octaves, all(-2.12194440e-4f)));
    Lanes y = all(1.9875691500e-4f);
    y = next_power(y, x, 1.3981999507e-3f);
    y = next_power(y, x, 8.3334519073e-3f);
    y = next_power(y, x, 4.1665795894e-2f);
    y = next_power(y, x, 1.6666665459e-1f);
    y = next_power(y, x, 5.0000001201e-1f);
    y = plus(plus(times(y, times(x, x)), x), all(1.0f));
    return times(y, power);
}

static ALWAYS_INLINE Lanes log_of(Lanes x) {
    Lanes octaves;
    const Lanes mantissa = mantissa_of(larger(x, all(1e-30f)), &octaves), small = all(0.70710678f);
    octaves = minus(octaves, if_less(mantissa, small, all(1.0f), all(0.0f)));
    x = minus(plus(mantissa, if_less(mantissa, small, mantissa, all(0.0f))), all(1.0f));
    const Lanes square = times(x, x);
    Lanes y = all(7.0376836292e-2f);
    y = next_power(y, x, -1.1514610310e-1f);
    y = next_power(y, x, 1.1676998740e-1f);
    y = next_power(y, x, -1.2420140846e-1f);
    y = next_power(y, x, 1.4249322787e-1f);
    y = next_power(y, x, -1.6668057665e-1f);
    y = next_power(y, x, 2.0000714765e-1f);
    y = next_power(y, x, -2.4999993993e-1f);
    y = next_power(y, x, 3.3333331174e-1f);
    y = times(times(y, x), square);
    y = plus(y, times(octaves, all(-2.12194440e-4f)));
    y = minus(y, times(all(0.5f), square));
    return plus(plus(x, y), times(octaves, all(0.693359375f)));
}

static ALWAYS_INLINE Lanes tanh_of(Lanes x) {
    const Lanes small = exp_of(times(without_sign(x), all(-2.0f)));
    return with_sign_of(over(minus(all(1.0f), small), plus(all(1.0f), small)), x);
}

/* Their sum, and the largest, of halves again and again. */
static ALWAYS_INLINE float sum_of(Lanes lanes) {
    float left[WIDTH];
    put_lanes(left, lanes);
    for (int width = WIDTH / 2; width; width /= 2)
        for (int lane = 0; lane < width; lane++) left[lane] = left[lane] + left[lane + width];
    return left[0];
}

static ALWAYS_INLINE float largest_of(Lanes lanes) {
    float left[WIDTH];
    put_lanes(left, lanes);
    for (int width = WIDTH / 2; width; width /= 2)
        for (int lane = 0; lane < width; lane++)
            left[lane] = left[lane + width] > left[lane] ? left[lane + width] : left[lane];
    return left[0];
}

#endif
