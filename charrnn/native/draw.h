/* From logits to a symbol, as generation/ has it in NumPy; and the mixture of several networks, as integer.py has it.
   V symbols. */

#include "filters.h"

#define LOG_2 0.6931471805599453
#define SHARES 16777216.0 /* 2^24 */
#define MEAN_SHARES 1099511627776.0 /* 2^40 */

/* How likely the model itself held a symbol: its logit below the largest, and the sum of all shares, told (2,). */
static void tell(const Draw *draw, const float *logits, int64_t symbol, const Row *row, double *told) {
    for (int64_t j = 0; j < row->symbols; j++) row->x[j] = (double)logits[j];
    const double most = find_shares(draw, row);
    told[0] = row->x[symbol] - most;
    told[1] = sum(row->share, row->symbols);
}

/* logits (V,), how often each symbol was used (V,), where that matters, a number in [0, 1) -> a symbol. */
static int64_t drawn(const Draw *draw, const float *logits, const double *used, double uniform, const Row *row) {
    const int64_t symbols = row->symbols;
    double *x = row->x, *reached = row->share;
    for (int64_t j = 0; j < symbols; j++) x[j] = (double)logits[j];
    if (draw->kept) mask(draw, row);
    if (used) penalize(draw, row, used);
    if (!(draw->temperature > LEAST_TEMPERATURE)) {
        int64_t best = 0;
        for (int64_t j = 1; j < symbols; j++) best = x[j] > x[best] ? j : best;
        return best;
    }
    for (int64_t j = 0; j < symbols; j++) x[j] = x[j] / draw->temperature;
    if (draw->top_k > 0 && draw->top_k < symbols) keep_top_k(draw, row);
    if (draw->top_p > 0) keep_top_p(draw, row);
    if (draw->min_p > 0) keep_min_p(draw, row);
    if (draw->typical_p > 0) keep_typical(draw, row);
    if (draw->eta > 0) keep_eta(draw, row);
    find_shares(draw, row);
    for (int64_t j = 1; j < symbols; j++) reached[j] = reached[j - 1] + reached[j];
    const double place = uniform * reached[symbols - 1];
    int64_t symbol = 0;
    for (int64_t j = 0; j < symbols; j++) symbol += reached[j] <= place;
    return symbol < symbols ? symbol : symbols - 1;
}

/* The logits (V,) of several networks, `apart` from each other -> those of their mean probabilities. */
static void mix(const Draw *draw, int64_t count, const float *logits, int64_t apart, int64_t symbols, float *mixed,
                double *work) {
    double *mean = work, *share = work + symbols;
    for (int64_t j = 0; j < symbols; j++) mean[j] = 0.0;
    for (int64_t n = 0; n < count; n++) {
        const float *own = logits + n * apart;
        float most = own[0];
        double sum = 0.0;
        for (int64_t j = 1; j < symbols; j++) most = own[j] > most ? own[j] : most;
        for (int64_t j = 0; j < symbols; j++) {
            share[j] = (double)look_up(&draw->exponential, own[j] - most) * SHARES;
            sum += share[j];
        }
        const double worth = MEAN_SHARES / sum;
        for (int64_t j = 0; j < symbols; j++) mean[j] += nearbyint(share[j] * worth);
    }
    for (int64_t j = 0; j < symbols; j++) {
        int exponent;
        const double mantissa = frexp((mean[j] > 1.0 ? mean[j] : 1.0) / (MEAN_SHARES * (double)count), &exponent);
        const float logarithm = look_up(&draw->logarithm, (float)mantissa);
        const double whole = (double)exponent * LOG_2;
        mixed[j] = (float)(whole + (double)logarithm);
    }
}
