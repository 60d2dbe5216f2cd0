/* Bits to bytes and back, each at the cost of its probability: a binary arithmetic coder without carries.

   Source: Witten, Neal and Cleary 1987, "Arithmetic coding for data compression", in the form of Mahoney 2005 (PAQ6):
   an interval of 32 bits, of which the bytes that both ends have in common are written. */

#ifndef CHARRNN_CODER_H
#define CHARRNN_CODER_H

#include "mixing.h"

typedef struct {
    int64_t known;       /* the symbol that comes: its code, the first bit lowest; else it is found in the bytes */
    uint64_t code;
    double likely;       /* how likely its bits were */
    uint8_t *bytes;      /* (size,): room for what is written; or what was, or nothing */
    int64_t size, at;
    uint32_t low, high, value; /* the interval, and where in it the bytes point */
} Coder;

/* Past the end of the bytes stand zeros. */
static uint32_t next_byte(Coder *coder) { return coder->at < coder->size ? coder->bytes[coder->at++] : 0; }

/* The bit that comes, where a 1 has a probability of p 65536ths. */
static int coded_bit(Coder *coder, int32_t p) {
    int bit = (int)(coder->code & 1);
    coder->code >>= 1;
    if (coder->bytes) {
        const uint32_t middle = coder->low + (uint32_t)(((uint64_t)(coder->high - coder->low) * (uint32_t)p) >> 16);
        if (!coder->known) bit = coder->value <= middle;
        if (bit) coder->high = middle;
        else coder->low = middle + 1;
        while (!((coder->low ^ coder->high) >> 24)) {
            if (!coder->known) coder->value = coder->value << 8 | next_byte(coder);
            else if (coder->at < coder->size) coder->bytes[coder->at++] = (uint8_t)(coder->high >> 24);
            coder->low <<= 8;
            coder->high = coder->high << 8 | 255;
        }
    }
    coder->likely *= (bit ? p : ONE - p) / (double)ONE;
    return bit;
}

/* What tells the interval from all others. */
static void finish(Coder *coder) {
    for (int i = 0; i < 4 && coder->at < coder->size; i++, coder->low <<= 8)
        coder->bytes[coder->at++] = (uint8_t)(coder->low >> 24);
}

#endif
