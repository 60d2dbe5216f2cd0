/* From logits to a symbol, as generation/ has it in NumPy: temperature, top-k, top-p, min-p, the draw; and the mixture
   of several networks, as integer.py has it. V symbols. */

#define LEAST_TEMPERATURE 1e-300
/* What `relative_probabilities` of generation/ computes: e^x by powers of two, 1024 to the octave. */
#define TO_STEPS -1477.3197218702985 /* -1024 / ln 2 */
#define FIRST_ORDER 0.0006769015435155716 /* ln 2 / 1024 */
#define SECOND_ORDER 2.290978498068816e-07 /* half its square */
#define THIRD_ORDER 5.169222938345892e-11 /* a sixth of its cube */
#define LAST_STEP 65535
#define LOG_2 0.6931471805599453
#define SHARES 16777216.0 /* 2^24 */
#define MEAN_SHARES 1099511627776.0 /* 2^40 */

/* e^x of x <= 0; below about 5e-20, 0. */
static ALWAYS_INLINE double relative(const Draw *draw, double x) {
    const double place = x * TO_STEPS;
    if (!(place < LAST_STEP)) return 0.0;
    const int64_t step = (int64_t)place;
    const double rest = place - (double)step;
    const double third = rest * THIRD_ORDER;
    double factor = SECOND_ORDER - third;
    factor = factor * rest;
    factor = factor - FIRST_ORDER;
    factor = factor * rest;
    factor = factor + 1.0;
    const uint64_t bits = (uint64_t)(1023 - (step >> 10)) << 52; /* 2^-(step / 1024), as a double has it */
    double octaves;
    memcpy(&octaves, &bits, sizeof octaves);
    return draw->powers[step & 1023] * octaves * factor;
}

static double likeliest(const double *x, int64_t symbols) {
    double most = x[0];
    for (int64_t j = 1; j < symbols; j++) most = x[j] > most ? x[j] : most;
    return most;
}

/* Whether symbol a comes before b: the likelier, of equals the first. */
static ALWAYS_INLINE int before(const double *x, int64_t a, int64_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); }

/* A heap of symbols, the next one in order at its root. */
static void sink(const double *x, int64_t *heap, int64_t size, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && before(x, heap[child + 1], heap[child])) child++;
        if (before(x, heap[at], heap[child])) return;
        const int64_t symbol = heap[at];
        heap[at] = heap[child];
        heap[child] = symbol;
    }
}

static void make_heap(const double *x, int64_t *heap, int64_t symbols) {
    for (int64_t j = 0; j < symbols; j++) heap[j] = j;
    for (int64_t at = symbols / 2; at-- > 0;) sink(x, heap, symbols, at);
}

static int64_t take(const double *x, int64_t *heap, int64_t *size) {
    const int64_t symbol = heap[0];
    heap[0] = heap[--*size];
    sink(x, heap, *size, 0);
    return symbol;
}

/* The symbols still in the heap are dropped. */
static void drop(double *x, const int64_t *heap, int64_t size) {
    for (int64_t j = 0; j < size; j++) x[heap[j]] = -INFINITY;
}

static void keep_top_k(double *x, int64_t symbols, int64_t k, int64_t *heap) {
    int64_t size = symbols;
    make_heap(x, heap, symbols);
    for (int64_t taken = 0; taken < k && size; taken++) take(x, heap, &size);
    drop(x, heap, size);
}

static void keep_top_p(const Draw *draw, double *x, int64_t symbols, int64_t *heap, double *share) {
    const double most = likeliest(x, symbols);
    double total = 0.0, reached = 0.0;
    for (int64_t j = 0; j < symbols; j++) {
        share[j] = relative(draw, x[j] - most);
        total += share[j];
    }
    int64_t size = symbols;
    make_heap(x, heap, symbols);
    while (size) {
        const double own = share[heap[0]], with = reached + own;
        if (with - own >= draw->top_p * total) break;
        reached = with;
        take(x, heap, &size);
    }
    drop(x, heap, size);
}

/* How likely the model itself held a symbol: its logit below the largest, and the sum of all shares, told (2,). */
static void tell(const Draw *draw, const float *logits, int64_t symbols, int64_t symbol, double *told) {
    double most = (double)logits[0], sum = 0.0;
    for (int64_t j = 1; j < symbols; j++) most = (double)logits[j] > most ? (double)logits[j] : most;
    for (int64_t j = 0; j < symbols; j++) sum += relative(draw, (double)logits[j] - most);
    told[0] = (double)logits[symbol] - most;
    told[1] = sum;
}

/* logits (V,), a number in [0, 1), work for 2 V doubles and V integers -> a symbol. */
static int64_t drawn(const Draw *draw, const float *logits, int64_t symbols, double uniform, double *work) {
    double *x = work, *share = work + symbols;
    int64_t *heap = (int64_t *)(work + 2 * symbols);
    if (!(draw->temperature > LEAST_TEMPERATURE)) {
        int64_t best = 0;
        for (int64_t j = 1; j < symbols; j++) best = logits[j] > logits[best] ? j : best;
        return best;
    }
    for (int64_t j = 0; j < symbols; j++) x[j] = (double)logits[j] / draw->temperature;
    if (draw->top_k > 0 && draw->top_k < symbols) keep_top_k(x, symbols, draw->top_k, heap);
    if (draw->top_p > 0) keep_top_p(draw, x, symbols, heap, share);
    const double most = likeliest(x, symbols);
    double reached = 0.0;
    for (int64_t j = 0; j < symbols; j++) share[j] = relative(draw, x[j] - most);
    for (int64_t j = 0; j < symbols; j++) {
        reached += share[j] < draw->min_p ? 0.0 : share[j];
        share[j] = reached;
    }
    const double place = uniform * reached;
    for (int64_t j = 0; j < symbols; j++)
        if (share[j] > place) return j;
    return symbols - 1;
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
