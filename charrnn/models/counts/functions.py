"""e^x and ln x of float32 numbers, of single operations alone, so that they are the same to the bit on every machine.

Both are Moshier's (Cephes library, 1992): the argument is brought near to 0 or 1, and a polynomial does the rest, to
about 1e-7 of it. The compiled part computes the same operations in the same order (native/functions.h); sums over many
numbers are taken in 16 lanes for the same reason.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LANES = 16
LEAST_EXPONENT, LEAST_PROBABILITY = np.float32(-87.0), np.float32(1e-30)
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
SQRT_HALF, HALF, ONE = np.float32(0.70710678), np.float32(0.5), np.float32(1.0)
OF_EXP = np.array(
    [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1], np.float32
)
OF_LOG = np.array(
    [
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
    np.float32,
)  # fmt: skip


def exp(x: Floats) -> Floats:
    """e^x of what is not above 0; below -87, that of -87."""
    x = np.maximum(x, LEAST_EXPONENT)
    octaves = np.floor(x * LOG2_E + HALF)
    x = x - octaves * LN2_HIGH
    x = x - octaves * LN2_LOW
    y = np.full_like(x, OF_EXP[0])
    for coefficient in OF_EXP[1:]:
        y = y * x + coefficient
    y = y * (x * x) + x + ONE
    scale = ((octaves.astype(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.asarray(y * scale, np.float32)


def log(x: Floats) -> Floats:
    """ln x of what is above 1e-30; of anything less, that of 1e-30."""
    bits = np.maximum(x, LEAST_PROBABILITY).view(np.int32)
    octaves = ((bits >> 23) - np.int32(126)).astype(np.float32)
    mantissa = ((bits & np.int32(0x7FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    small = mantissa < SQRT_HALF
    octaves = octaves - small.astype(np.float32)
    x = mantissa + np.where(small, mantissa, np.float32(0)) - ONE
    square = x * x
    y = np.full_like(x, OF_LOG[0])
    for coefficient in OF_LOG[1:]:
        y = y * x + coefficient
    y = y * x * square
    y = y + octaves * LN2_LOW
    y = y - HALF * square
    return np.asarray(x + y + octaves * LN2_HIGH, np.float32)


def tanh(x: Floats) -> Floats:
    """(1 - e^-2|x|) / (1 + e^-2|x|), with the sign of x."""
    small = exp(np.abs(x) * np.float32(-2))
    return np.asarray(np.copysign((ONE - small) / (ONE + small), x), np.float32)


def padded(size: int) -> int:
    """So many numbers, filled up to whole lanes."""
    return -(-size // LANES) * LANES


def lane_sums(x: Floats) -> Floats:
    """(N, a multiple of 16) -> (N,): every sixteenth number, one after another, then halves of what is left."""
    lanes = x.reshape(len(x), -1, LANES)
    sums = lanes[:, 0].copy()
    for place in range(1, lanes.shape[1]):
        sums += lanes[:, place]
    width = LANES
    while width > 1:
        width //= 2
        sums = sums[:, :width] + sums[:, width:]
    return np.asarray(sums[:, 0], np.float32)
