/* Where a text is in the tables of counts: see models/counts/trie.py, hashes.py and words.py. */

#ifndef CHARRNN_PLACES_H
#define CHARRNN_PLACES_H

#include "counts.h"

#define WORD_MEMORY 5 /* so far, the same alike in case, two words, kind */
#define NO_LETTER (-1)
#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif
enum { BEGUN = 1, IN_WORD = 2, CUT = 4 };

#define HASH_BASE 0x9E3779B97F4A7C15u
#define HASH_MULTIPLIER 0xD6E8FEB86659FD93u

/* The place of a context followed by an id, from 1; 0 where there is no such gram. Where to go on looking is computed,
   for no processor can guess it. */
static ALWAYS_INLINE int64_t longer(const Level *level, int64_t context, int64_t id) {
    if (context < 0 || context >= level->contexts || id >= 65536) return 0;
    int64_t at = level->firsts[context], left = level->firsts[context + 1] - at;
    if (left < 1) return 0;
    for (; left > 1; left -= left / 2) at += left / 2 * (level->symbols[at + left / 2 - 1] < id);
    return level->symbols[at] == id ? at + 1 : 0;
}

/* The same of a context of words, by its hash. */
static ALWAYS_INLINE int64_t word_place(const Words *words, uint64_t hash) {
    const uint32_t *bucket = words->buckets + (hash >> words->shift);
    int64_t at = bucket[0], left = bucket[1] - at;
    if (left < 1) return 0;
    for (; left > 1; left -= left / 2) at += left / 2 * (words->hashes[at + left / 2 - 1] < hash);
    return words->hashes[at] == hash ? at + 1 : 0;
}

static ALWAYS_INLINE uint64_t scrambled(uint64_t id) {
    uint64_t mixed = (id + 1) * HASH_BASE;
    mixed = (mixed ^ (mixed >> 32)) * HASH_MULTIPLIER;
    return mixed ^ (mixed >> 29);
}

/* One more token of a word: the memory of words (5,) -> the hashes of its contexts, and how many of them are known. */
static ALWAYS_INLINE int64_t read_on(const Counts *counts, int64_t id, int64_t *memory, uint64_t *hashes) {
    const int64_t letter = id < counts->ids - 1 ? counts->letters[id] : NO_LETTER, kind = memory[4];
    const int in_word = letter != NO_LETTER, was_word = (kind & IN_WORD) != 0;
    uint64_t so_far = (uint64_t)memory[0], alike = (uint64_t)memory[1];
    int cut = (kind & CUT) != 0;
    if (!(kind & BEGUN)) cut = id != counts->ids - 1;
    else if (in_word != was_word) {
        if (was_word) {
            memory[3] = memory[2];
            memory[2] = (int64_t)alike;
        }
        so_far = alike = 0;
        cut = 0;
    }
    so_far = cut ? 0 : so_far * HASH_BASE + scrambled((uint64_t)id);
    alike = cut ? 0 : alike * HASH_BASE + scrambled((uint64_t)(in_word ? letter : id));
    memory[0] = (int64_t)so_far;
    memory[1] = (int64_t)alike;
    memory[4] = BEGUN + IN_WORD * in_word + CUT * cut;
    for (int64_t before = 0; before < counts->words; before++)
        hashes[before] = before ? hashes[before - 1] * HASH_MULTIPLIER + (uint64_t)memory[1 + before] : so_far;
    return cut ? 0 : counts->words;
}

/* One more token: places (lengths,), the memory of words (5,) -> the places of all contexts, from 1 (lengths + words,). */
static ALWAYS_INLINE void go_on(const Counts *counts, int64_t id, int64_t *places, int64_t *memory, int64_t *contexts) {
    uint64_t hashes[MOST_WORDS];
    const int64_t known = counts->letters ? read_on(counts, id, memory, hashes) : 0;
    for (int64_t n = 0; n < known; n++) FETCH(counts->word[n].buckets + (hashes[n] >> counts->word[n].shift));
    for (int64_t length = counts->lengths - 1; length >= 0; length--)
        places[length] = longer(&counts->grams[length], length ? places[length - 1] - 1 : 0, id);
    for (int64_t length = 0; length < counts->lengths; length++) contexts[length] = places[length];
    for (int64_t n = 0; n < known; n++)
        FETCH(counts->word[n].hashes + counts->word[n].buckets[hashes[n] >> counts->word[n].shift]);
    for (int64_t n = 0; n < counts->words; n++) {
        const int there = n < known && (!n || memory[1 + n]); /* as many words before it */
        contexts[counts->lengths + n] = there ? word_place(&counts->word[n], hashes[n]) : 0;
    }
}

/* -- what will be read there ------------------------------------------------------------------------------------- */

/* The longest context that is begun with, and its row. */
static ALWAYS_INLINE int64_t beginning(const Counts *counts, const int64_t *contexts, int64_t stride,
                                       const float **row) {
    int64_t length = counts->begun - 1;
    while (length && (contexts[length - 1] < 1 || contexts[length - 1] > counts->beginnings[length].contexts)) length--;
    *row = counts->beginnings[length].p + (length ? contexts[length - 1] - 1 : 0) * stride;
    return length;
}

/* What will be read of the tables is asked for in two strides: memory is slower than all that is computed from it. */
static ALWAYS_INLINE void fetch_ahead(const Counts *counts, const int64_t *contexts, int grams) {
    const int64_t stride = ROUND_UP(counts->ids, WIDTH);
    const float *row;
    const int64_t known = beginning(counts, contexts, stride, &row);
    for (int64_t j = 0; grams && j < stride; j += WIDTH) FETCH(row + j);
    for (int64_t k = 0; k < counts->experts; k++) {
        const Expert *expert = &counts->expert[k];
        for (int64_t n = k + 1 < counts->experts ? expert->shared : known; n < expert->levels; n++) {
            const Level *level = &expert->level[n];
            const int64_t place = contexts[expert->contexts[n]] - 1;
            if (place < 0 || place >= level->contexts) continue;
            if (grams) {
                FETCH(level->symbols + level->firsts[place]);
                FETCH(level->shares + level->firsts[place]);
            } else {
                FETCH(level->firsts + place);
                FETCH(level->rests + place);
            }
        }
    }
}

/* One more token of a row: where it is now. What is found there is asked for, and comes while a network is computed. */
static void find_row(const Counts *counts, int64_t id, int64_t *places, int64_t *memory, int64_t *contexts) {
    go_on(counts, id, places, memory, contexts);
    fetch_ahead(counts, contexts, 0);
}

#endif
