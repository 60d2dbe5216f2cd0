/* What stands between logits and the draw, as generation/processors has it in NumPy: masks, penalties, temperature and
   filters, each in place; what is dropped is at -infinity. V symbols. */

#define LEAST_TEMPERATURE 1e-300
#define LEAST_LOGIT -1e300

/* One row on its way to the draw: logits, e^(logit - the largest), what it is sorted by, (V,) each. */
typedef struct {
    int64_t symbols;
    Exponentiate exponentiate;
    double *x, *share, *rank;
    int64_t *heap;
    int32_t *step;
} Row;

static double *room_for_row(int64_t symbols) { return malloc((size_t)symbols * 5 * sizeof(double)); }

static Row row_in(double *room, int64_t symbols, Exponentiate exponentiate) {
    return (Row){symbols, exponentiate, room, room + symbols, room + 2 * symbols, (int64_t *)(room + 3 * symbols),
                 (int32_t *)(room + 4 * symbols)};
}

/* By four, of which none waits for another. */
static double likeliest(const double *x, int64_t symbols) {
    double most[4] = {x[0], x[0], x[0], x[0]};
    int64_t j = 0;
    for (; j + 4 <= symbols; j += 4)
        for (int n = 0; n < 4; n++) most[n] = x[j + n] > most[n] ? x[j + n] : most[n];
    for (; j < symbols; j++) most[0] = x[j] > most[0] ? x[j] : most[0];
    for (int n = 1; n < 4; n++) most[0] = most[n] > most[0] ? most[n] : most[0];
    return most[0];
}

/* -> the largest logit. */
static double find_shares(const Draw *draw, const Row *row) {
    const double most = likeliest(row->x, row->symbols);
    for (int64_t j = 0; j < row->symbols; j++) row->share[j] = row->x[j] - most;
    row->exponentiate(draw->powers, row->share, row->step, row->symbols);
    return most;
}

static double sum(const double *x, int64_t count) {
    double total = 0.0;
    for (int64_t j = 0; j < count; j++) total += x[j];
    return total;
}

/* -- in the order of rank ----------------------------------------------------------------------------------------- */

/* Whether symbol a comes before b: the one of the larger rank, of equals the first. */
static ALWAYS_INLINE int before(const double *rank, int64_t a, int64_t b) {
    return rank[a] > rank[b] || (rank[a] == rank[b] && a < b);
}

/* A heap of symbols, the next one in order at its root. */
static void sink(const double *rank, int64_t *heap, int64_t size, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && before(rank, heap[child + 1], heap[child])) child++;
        if (before(rank, heap[at], heap[child])) return;
        const int64_t symbol = heap[at];
        heap[at] = heap[child];
        heap[child] = symbol;
    }
}

static void make_heap(const double *rank, int64_t *heap, int64_t symbols) {
    for (int64_t j = 0; j < symbols; j++) heap[j] = j;
    for (int64_t at = symbols / 2; at-- > 0;) sink(rank, heap, symbols, at);
}

static void take(const double *rank, int64_t *heap, int64_t *size) {
    heap[0] = heap[--*size];
    sink(rank, heap, *size, 0);
}

/* The symbols still in the heap are dropped. */
static void drop_rest(const Row *row, int64_t size) {
    for (int64_t j = 0; j < size; j++) row->x[row->heap[j]] = -INFINITY;
}

/* Keep the first, of which the shares reach p of all. */
static void keep_reaching(const Row *row, const double *rank, double p) {
    const double enough = p * sum(row->share, row->symbols);
    double reached = 0.0;
    int64_t size = row->symbols;
    make_heap(rank, row->heap, size);
    while (size) {
        const double own = row->share[row->heap[0]], with = reached + own;
        if (with - own >= enough) break;
        reached = with;
        take(rank, row->heap, &size);
    }
    drop_rest(row, size);
}

/* -- what may be on ----------------------------------------------------------------------------------------------- */

static void mask(const Draw *draw, const Row *row) {
    for (int64_t j = 0; j < row->symbols; j++) row->x[j] = draw->kept[j] ? row->x[j] : -INFINITY;
}

/* used (V,): how often each symbol was. */
static void penalize(const Draw *draw, const Row *row, const double *used) {
    for (int64_t j = 0; j < row->symbols; j++) {
        double *x = row->x + j;
        const double less = *x / draw->repetition, other = *x * draw->repetition;
        const double repeated = used[j] > 0 ? (less < other ? less : other) : *x;
        const double counted = repeated - draw->frequency * used[j];
        *x = counted - (used[j] > 0 ? draw->presence : 0.0);
    }
}

/* What was drawn counts as used, and what leaves the window no longer. */
static void keep_up(const Draw *draw, double *used, int64_t symbols, int64_t step, const int64_t *ids,
                    const int64_t *leaving) {
    const int64_t gone = draw->window > 0 && step >= draw->window ? ids[step - draw->window] : leaving[step];
    used[ids[step]] += 1.0;
    if (gone >= 0 && gone < symbols) used[gone] -= 1.0;
}

static void keep_top_k(const Draw *draw, const Row *row) {
    int64_t size = row->symbols;
    make_heap(row->x, row->heap, size);
    for (int64_t taken = 0; taken < draw->top_k && size; taken++) take(row->x, row->heap, &size);
    drop_rest(row, size);
}

static void keep_top_p(const Draw *draw, const Row *row) {
    find_shares(draw, row);
    keep_reaching(row, row->x, draw->top_p);
}

static void keep_min_p(const Draw *draw, const Row *row) {
    find_shares(draw, row);
    for (int64_t j = 0; j < row->symbols; j++) row->x[j] = row->share[j] < draw->min_p ? -INFINITY : row->x[j];
}

/* x - the largest, as rank, and its mean by shares. */
static double find_mean(const Draw *draw, const Row *row) {
    const double most = find_shares(draw, row);
    double total = 0.0;
    for (int64_t j = 0; j < row->symbols; j++) {
        const double shifted = row->x[j] - most;
        row->rank[j] = shifted;
        total += row->share[j] * (shifted > LEAST_LOGIT ? shifted : LEAST_LOGIT);
    }
    return total / sum(row->share, row->symbols);
}

static void keep_typical(const Draw *draw, const Row *row) {
    const double mean = find_mean(draw, row);
    for (int64_t j = 0; j < row->symbols; j++) row->rank[j] = -fabs(row->rank[j] - mean);
    keep_reaching(row, row->rank, draw->typical_p);
}

static void keep_eta(const Draw *draw, const Row *row) {
    const double least = draw->half_log_eta + find_mean(draw, row);
    const double share = draw->eta * sum(row->share, row->symbols);
    for (int64_t j = 0; j < row->symbols; j++)
        if (row->share[j] < share && row->rank[j] < least) row->x[j] = -INFINITY;
}
