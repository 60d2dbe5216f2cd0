/* Context mixing: what a symbol costs after all that was read, symbol by symbol, each before anything learns from it.

   A symbol is a way through a binary tree of the alphabet. At each node counters of many contexts, and a network where
   there is one, say how likely a 1 is; mixers weigh them, and learn from the bit that came. The product over the nodes
   is a distribution over the alphabet. See mixing.h for what stands where. */

#include "mixing.h"

#include "coder.h"
#include "contexts.h"
#include "counters.h"
#include "mixers.h"

/* -- the network -------------------------------------------------------------------------------------------------- */

/* ln in 256ths of a nat, of 1 and more. */
static int32_t logarithm(const Mixer *m, uint64_t value) {
    int32_t doublings = 0;
    for (; value >= 8192; value >>= 1) doublings++;
    for (; value < 4096; value <<= 1) doublings--;
    return m->set.logarithms[value - 4096] + ((doublings * 45426) >> 8);
}

/* Its shares (V,) of all symbols, each 1 or more -> how sure it is of one of them, from 1 to 7. */
static int read_shares(Mixer *m, const uint32_t *shares) {
    static const uint64_t more_than[6][2] = {{1, 8}, {1, 4}, {1, 2}, {3, 4}, {9, 10}, {49, 50}};
    const int64_t symbols = m->set.symbols;
    uint64_t most = 0;
    int surety = 1;
    for (int64_t symbol = 0; symbol < symbols; symbol++) {
        m->sums[m->leaf[symbol] + 1] = shares[symbol];
        most = shares[symbol] > most ? shares[symbol] : most;
    }
    for (int64_t leaf = 0; leaf < symbols; leaf++) m->sums[leaf + 1] += m->sums[leaf];
    for (int i = 0; i < 6; i++) surety += most * more_than[i][1] > m->sums[symbols] * more_than[i][0];
    return surety;
}

static int32_t odds_of_network(const Mixer *m, int64_t node) {
    const uint64_t *sums = m->sums, middle = sums[m->middle[node]];
    return clamped(logarithm(m, sums[m->high[node]] - middle) - logarithm(m, middle - sums[m->low[node]]), MOST_ODDS);
}

static int certainty_of(int32_t odds) {
    static const int32_t more_than[6] = {128, 256, 512, 768, 1100, 1500};
    int certainty = 1;
    for (int i = 0; i < 6; i++) certainty += (odds < 0 ? -odds : odds) > more_than[i];
    return certainty;
}

/* -- a symbol ----------------------------------------------------------------------------------------------------- */

static int length_class(int64_t length) {
    if (length < 16) return length ? 1 + (int)length / 4 : 0;
    return length < 32 ? 5 + (int)(length - 16) / 8 : 7;
}

static uint16_t *ask_match(const Mixer *m, int number, uint64_t path, int depth, int16_t *x) {
    const Match *match = m->match + number;
    const int bit = match->place ? expected_bit(m, m->read[match->place], path, depth) : NONE;
    x[0] = x[1] = 0;
    if (bit == NONE) return NULL;
    const int64_t length = match->length < 16 ? match->length : 16 + (match->length - 16) / 2;
    uint16_t *p = m->matched + ((number << 5 | length) << 1 | bit);
    x[0] = (int16_t)odds_of(m, *p);
    x[1] = (int16_t)((*p - ONE / 2) >> 6);
    return p;
}

/* A node: the bit that comes, told how likely a 1 is. Everything learns from it then. */
static int code_bit(Mixer *m, Here *here, int64_t node, uint64_t path, int depth, Coder *coder) {
    int16_t x[INPUTS] = {0}, y[OUTPUTS] = {0};
    Sources sources[CONTEXTS];
    uint16_t *matched[MATCHES], *corrections[2];
    int32_t *weights[SETS], *last_weights[LAST_SETS], odds = 0;
    for (int c = 0; c < CONTEXTS; c++) sources[c] = ask(m, c, node, path, depth, x + c * PER_CONTEXT);
    for (int i = 0; i < MATCHES; i++)
        matched[i] = ask_match(m, i, path, depth, x + CONTEXTS * PER_CONTEXT + 2 * i);
    if (here->surety) {
        x[NETWORK] = (int16_t)odds_of_network(m, node);
        x[NETWORK + 1] = (int16_t)((p_of(m, x[NETWORK]) - ONE / 2) >> 6);
        here->certainty = certainty_of(x[NETWORK]);
    }
    x[NETWORK + 2] = 256;

    choose(m, here, node, depth, weights);
    for (int i = 0; i < SETS; i++) y[i] = (int16_t)clamped(m->dot(weights[i], x, INPUTS) >> 8, MOST_ODDS);
    choose_last(m, here, node, depth, last_weights);
    int32_t answers[LAST_SETS];
    for (int i = 0; i < LAST_SETS; i++) {
        answers[i] = clamped(m->dot(last_weights[i], y, OUTPUTS) >> 8, ODDS - 1);
        odds += answers[i];
    }
    odds = clamped((odds * 21845) >> 16, MOST_ODDS);
    choose_corrections(m, node, odds, corrections);
    const int32_t between = (odds + MOST_ODDS + 1) & 127;
    int32_t p = 2 * p_of(m, odds);
    for (int i = 0; i < 2; i++) p += (corrections[i][0] * (128 - between) + corrections[i][1] * between) >> 7;
    p = (p >> 2) < 1 ? 1 : p >> 2;
    const int bit = coded_bit(coder, p);

    const int32_t rate = LEARN + (int32_t)((int64_t)LEARN_FIRST * HALF_WAY / (HALF_WAY + m->learned++));
    for (int i = 0; i < SETS; i++)
        m->learn(weights[i], x, INPUTS, (int32_t)(((int64_t)(bit * ONE - p_of(m, y[i])) * rate) >> 10));
    for (int i = 0; i < LAST_SETS; i++)
        m->learn(last_weights[i], y, OUTPUTS, (bit * ONE - p_of(m, answers[i])) >> 5);
    for (int i = 0; i < 2; i++) approach(corrections[i] + (between >= 64), bit, SLOW);
    for (int i = 0; i < MATCHES; i++)
        if (matched[i]) approach(matched[i], bit, SLOW);
    for (int c = 0; c < CONTEXTS; c++) tell(m, c, node, bit, sources[c]);
    return bit;
}

/* The symbol that comes, by the bits that the coder knows or finds. With no shares there is no network. */
static int32_t code(Mixer *m, Coder *coder, const uint32_t *shares) {
    Here here = {0, shares ? read_shares(m, shares) : 0, 0, 0, NONE};
    int64_t node = m->set.symbols > 1 ? 0 : ~(int64_t)0, expected = NONE;
    uint64_t path = 0;
    int depth = 0;
    find_contexts(m);
    for (int i = MATCHES - 1; i >= 0; i--) {
        if (!m->match[i].place) continue;
        here.match = length_class(m->match[i].length);
        expected = m->read[m->match[i].place];
    }
    for (; node >= 0; depth++) {
        if (m->top[node] == node) {
            const int order = find_blocks(m, node, path, depth);
            if (!node) here.order = order;
        }
        here.bit = expected_bit(m, expected, path, depth);
        const int bit = code_bit(m, &here, node, path, depth, coder);
        path |= (uint64_t)bit << depth;
        node = m->set.children[2 * node + bit];
    }
    const int32_t symbol = (int32_t)~node;
    if (depth) leave_blocks(m, symbol, depth);
    append(m, symbol);
    return symbol;
}

/* -- what Python calls -------------------------------------------------------------------------------------------- */

#include "making.h"

/* For a symbol more, and the beginning of a document: 0 where there is no memory. */
static int room(Mixer *m) {
    if (m->at + 2 <= m->set.most) return 1;
    int32_t *longer = realloc(m->read, (size_t)m->set.most * 2 * sizeof *longer);
    if (!longer) return 0;
    m->read = longer;
    m->set.most *= 2;
    return 1;
}

/* Read `count` symbols; any that is not of the vocabulary is passed over, at no cost, and ends all matches. A document
   begins at each place with a 1. shares (count, V), or none -> how likely each was (count,). */
EXPORTED int64_t charrnn_mixing_read(Mixer *m, int64_t count, const int32_t *symbols, const uint8_t *begins,
                                     const uint32_t *shares, double *likely) {
    const int32_t known = (int32_t)m->set.symbols;
    for (int64_t i = 0; i < count; i++) {
        if (!room(m)) return 1;
        if (begins[i]) begin(m);
        if (shares && !m->with_network) join(m);
        likely[i] = 1;
        if (symbols[i] < 0 || symbols[i] >= known) {
            append(m, known);
            continue;
        }
        Coder coder = {.known = 1, .code = m->code[symbols[i]], .likely = 1};
        code(m, &coder, shares ? shares + i * known : NULL);
        likely[i] = coder.likely;
    }
    return 0;
}

/* One symbol to bytes, or back where it is none: -> the symbol, or -1 where there is no memory. shares (V,) or none. */
EXPORTED int64_t charrnn_mixing_code(Mixer *m, Coder *coder, int64_t symbol, int64_t begins, const uint32_t *shares) {
    if (!room(m) || symbol >= m->set.symbols) return -1;
    if (begins) begin(m);
    if (shares && !m->with_network) join(m);
    coder->known = symbol >= 0;
    coder->code = symbol >= 0 ? m->code[symbol] : 0;
    coder->likely = 1;
    return code(m, coder, shares);
}

/* The coder writes nothing more: room for 4 bytes. */
EXPORTED void charrnn_mixing_finish(Coder *coder) { finish(coder); }

/* With which form of the record this was built (FORM in mixing.py). */
EXPORTED int64_t charrnn_mixing_form(void) { return 3; }
