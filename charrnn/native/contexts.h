/* The contexts in which symbols are counted, and the places where the text was like this before. */

#ifndef CHARRNN_CONTEXTS_H
#define CHARRNN_CONTEXTS_H

#include "mixing.h"

#define SHORTEST_MATCH(number) ((int[]){20, 12, 6}[number])
#define LONGEST_MATCH 40

enum { OTHER = 0, LINE_END = 1, SMALL = 2, CAPITAL = 3 };

/* What kind of symbol it is; the start of a text is none of these and counts as OTHER. */
static INLINE int kind_of(const Mixer *m, int64_t symbol) {
    if (symbol == m->set.newline) return LINE_END;
    if (symbol >= m->set.symbols || m->set.letters[symbol] == NONE) return OTHER;
    return m->set.letters[symbol] == symbol ? SMALL : CAPITAL;
}

/* The same, where each of the others is a kind of its own. */
static INLINE int32_t kind_or_symbol(const Mixer *m, int32_t symbol) {
    const int kind = kind_of(m, symbol);
    return kind == OTHER ? 4 + symbol : kind;
}

/* The kinds of the last four symbols. */
static INLINE int layout_of(const Mixer *m) {
    int layout = 0;
    for (int i = 0; i < 4; i++) layout = layout << 2 | kind_of(m, m->text.recent[i]);
    return layout;
}

static INLINE uint32_t *after_two_of(Mixer *m) {
    return m->after_two + (hashed((uint64_t)m->text.recent[0], (uint64_t)m->text.recent[1]) >> 48);
}

static INLINE int64_t column_of(const Mixer *m, int64_t most) {
    const int64_t column = m->at - m->text.line;
    return column < most ? column : most;
}

/* A text or a document begins: what stood before is forgotten, what was counted is not. */
static void begin(Mixer *m) {
    Text *t = &m->text;
    memset(t, 0, sizeof *t);
    for (int i = 0; i < RECENT; i++) t->recent[i] = (int32_t)m->set.symbols;
    m->read[m->at++] = (int32_t)m->set.symbols; /* where matches end */
    t->line = t->line_before = m->at;
    t->in_first = 1;
    for (int i = 0; i < MATCHES; i++) m->match[i].place = m->match[i].length = 0;
}

/* Look for the last place that was preceded by the same, where none is being followed, and leave word of this one. */
static void find_match(Mixer *m, Match *match, int shortest) {
    uint64_t h = 0;
    for (int i = 0; i < shortest; i++) h = hashed(h, (uint64_t)m->text.recent[i]);
    uint32_t *place = match->places + (h >> (64 - m->set.places));
    if (!match->place && *place) {
        const int32_t *there = m->read + *place, *here = m->read + m->at;
        int length = 0;
        while (length < LONGEST_MATCH && there - length > m->read && there[-1 - length] == here[-1 - length] &&
               here[-1 - length] < m->set.symbols)
            length++;
        match->place = length < shortest ? 0 : *place;
        match->length = length < shortest ? 0 : length;
    }
    *place = (uint32_t)m->at;
}

/* Before a symbol: hashes of all contexts, and the matches. */
static void find_contexts(Mixer *m) {
    const Text *t = &m->text;
    const int32_t *s = t->recent;
    uint64_t *h = m->contexts, orders[13], kinds = 0, runs = 0;
    orders[0] = 0;
    for (int i = 0; i < 12; i++) {
        orders[i + 1] = hashed(orders[i], (uint64_t)s[i]);
        kinds = hashed(kinds, (uint64_t)kind_or_symbol(m, s[i]));
    }
    for (int i = 0; i < 7; i++) runs = hashed(runs, (uint64_t)t->runs[i]);
    const int64_t column = column_of(m, 255), above = t->line_before + column;
    const uint64_t over = (uint64_t)(above < t->line ? m->read[above] : m->set.symbols);
    const uint64_t last = hashed(t->word, (uint64_t)s[0]), two = orders[2], after_two = *after_two_of(m);
    const uint64_t lately = (uint64_t)(m->at >> m->set.lately) + 1000;
    const uint64_t length = (uint64_t)t->word_length, words = (uint64_t)t->words_in_line;
    for (int i = 0; i <= 7; i++) *h++ = orders[i];
    *h++ = orders[9];
    *h++ = orders[12];
    *h++ = last;
    *h++ = hashed(last, t->words[0]);
    *h++ = hashed(hashed(last, t->words[0]), t->words[1]);
    *h++ = hashed(last, t->words[1]);
    *h++ = hashed((uint64_t)s[1], (uint64_t)s[2]);
    *h++ = hashed(hashed((uint64_t)s[1], (uint64_t)s[2]), (uint64_t)s[3]);
    *h++ = hashed(t->first, t->word);
    *h++ = hashed(hashed(over, (uint64_t)s[0]), (uint64_t)column);
    *h++ = hashed(over, two);
    *h++ = hashed(m->after[s[0]], (uint64_t)s[0]);
    *h++ = hashed(after_two, (uint64_t)s[0]);
    *h++ = hashed(after_two & 0xffff, two);
    *h++ = hashed(hashed(t->speaker, t->word), t->words[0]);
    *h++ = hashed(hashed((uint64_t)s[0], (uint64_t)s[2]), length);
    *h++ = hashed(t->speaker, orders[3]);
    *h++ = hashed(t->word, t->words[2]);
    *h++ = kinds;
    *h++ = hashed(runs, (uint64_t)s[0]);
    *h++ = hashed(t->words[0], two);
    *h++ = hashed(hashed(length, (uint64_t)s[0]), t->speaker);
    *h++ = hashed((uint64_t)column, (uint64_t)s[0]);
    *h++ = hashed(hashed(length, (uint64_t)column), words);
    *h++ = hashed(last, words);
    *h++ = hashed(last, (uint64_t)t->capital + 1000);
    *h++ = hashed(t->speaker, t->word);
    *h++ = hashed(orders[3], lately);
    *h++ = hashed(orders[5], lately);
    *h++ = hashed(last, lately);
    *h++ = hashed(t->word, lately);
    for (int i = 0; i < MATCHES; i++) find_match(m, m->match + i, SHORTEST_MATCH(i));
}

static void end_word(Text *t) {
    memmove(t->words + 1, t->words, 2 * sizeof *t->words);
    t->words[0] = t->word;
    t->word = 0;
    t->word_length = 0;
    t->in_first = 0;
    t->words_in_line++;
}

static void end_line(Mixer *m, Text *t) {
    if (m->at - t->line == 1) t->speaker = 0;
    else if (!t->speaker) t->speaker = t->words[0];
    t->line_before = t->line;
    t->line = m->at;
    t->first = 0;
    t->in_first = 1;
    t->words_in_line = 0;
}

/* After a symbol: it is part of what stands before the next. */
static void append(Mixer *m, int32_t symbol) {
    Text *t = &m->text;
    for (int i = 0; i < MATCHES; i++) {
        Match *match = m->match + i;
        if (match->place && m->read[match->place] == symbol) {
            match->place++;
            match->length += match->length < LONGEST_MATCH;
        } else match->place = match->length = 0;
    }
    uint32_t *followed[] = {m->after + t->recent[0], after_two_of(m)};
    for (int i = 0; i < 2; i++) *followed[i] = (*followed[i] << 8 | (symbol & 255)) & 0xffffff;
    memmove(t->recent + 1, t->recent, (RECENT - 1) * sizeof *t->recent);
    t->recent[0] = symbol;
    m->read[m->at++] = symbol;
    const int32_t kind = kind_or_symbol(m, symbol);
    if (kind != t->runs[0] || kind > CAPITAL) {
        memmove(t->runs + 1, t->runs, 6 * sizeof *t->runs);
        t->runs[0] = kind;
    }
    if (kind == SMALL || kind == CAPITAL) {
        if (t->word && m->set.opens[symbol]) end_word(t);
        if (!t->word) t->capital = kind == CAPITAL;
        t->word = hashed(t->word, (uint64_t)m->set.letters[symbol]);
        t->word_length++;
        if (t->in_first) t->first = t->word;
    } else if (t->word) end_word(t);
    if (symbol == m->set.newline) end_line(m, t);
}

#endif
