/* Counts beside a network, as models/counts/ has them in NumPy: what Python hands over (__init__.py has the same
   records). places.h finds a text in the tables, mixture.h says what is likely there.

   Shapes: V symbols, S ids, C contexts, G grams, M networks, K experts with these, H units of the gate. */

#ifndef CHARRNN_COUNTS_H
#define CHARRNN_COUNTS_H

#include "functions.h"
#include "network.h"

/* What follows each of C contexts: share(c w) + rest(c) p(w | what c falls back to). */
typedef struct {
    int64_t contexts;
    const uint32_t *firsts;  /* (C + 1,): where the grams of each begin */
    const uint16_t *symbols; /* (G,), sorted in each */
    const float *shares;     /* (G,) */
    const float *rests;      /* (C,) */
} Level;

/* The sorted hashes (C,) of contexts of words; `buckets` (2^(64 - shift) + 1,) say where their first bits begin. */
typedef struct {
    int64_t contexts;
    const uint64_t *hashes;
    const uint32_t *buckets;
    int64_t shift;
} Words;

/* Levels of an expert, the shortest contexts first, and which of a place's contexts each of them is for; how many of
   them the expert behind it has as well. */
typedef struct {
    int64_t levels, shared;
    const int64_t *contexts;
    const Level *level;
} Expert;

/* What all experts begin with behind each of C contexts, computed once: the levels up to theirs. */
typedef struct {
    int64_t contexts;
    const float *p; /* (C, stride) */
} Begun;

typedef struct {
    int64_t symbols, ids, lengths, words;   /* V, S, contexts of grams, of words */
    int64_t networks, experts, units;       /* M, K - M, H */
    int64_t begun;                          /* how many of the lengths 0, 1, 2 … of contexts are */
    const Level *grams;     /* (lengths,): what finds a context that is one symbol longer */
    const Words *word;      /* (words,) */
    const int64_t *letters; /* (S - 1,): see words.py; nothing where there are no words */
    const Expert *expert;   /* (K - M,) */
    const Begun *beginnings; /* (begun,): the first has what is likely where nothing is known */
    const float *mean, *scale;                              /* (3 K - 1,) */
    const float *inward, *bias, *outward, *constants;       /* (3 K - 1, H), (H,), (H, K), (K,) */
} Counts;

#define MOST_WORDS 3
#define MOST_EXPERTS 8 /* of counts */

/* How many contexts a place has. */
static int64_t counts_places(const Counts *counts) { return counts->lengths + counts->words; }

/* Whether counts fit together. What their tables hold was looked at when they were read (level.py). */
static int counts_fit(const Counts *counts) {
    if (counts->symbols < 1 || counts->ids < counts->symbols || counts->ids > counts->symbols + 1) return 0;
    if (counts->ids > 65536 || counts->lengths < 1 || counts->words < 0 || counts->words > MOST_WORDS) return 0;
    if (counts->networks < 1 || counts->experts < 1 || counts->experts > MOST_EXPERTS || counts->units < 0) return 0;
    if ((counts->words > 0) != (counts->letters != NULL)) return 0;
    if (counts->begun < 1 || counts->begun > counts->lengths || counts->beginnings[0].contexts != 1) return 0;
    for (int64_t n = 0; n < counts->words; n++)
        if (counts->word[n].shift < 32 || counts->word[n].shift > 63) return 0;
    for (int64_t k = 0; k < counts->experts; k++) {
        const int64_t behind = k + 1 < counts->experts ? counts->expert[k + 1].levels : 0;
        const int64_t further = k + 1 < counts->experts ? counts->expert[k + 1].shared : 0;
        if (counts->expert[k].shared < further || counts->expert[k].shared > behind) return 0;
        if (counts->expert[k].shared > counts->expert[k].levels) return 0;
        const int64_t common = k + 1 < counts->experts ? counts->expert[k].shared : counts->expert[k].levels;
        if (counts->begun - 1 > common) return 0;
        for (int64_t n = 0; n < counts->expert[k].levels; n++)
            if (counts->expert[k].contexts[n] < 0 || counts->expert[k].contexts[n] >= counts_places(counts)) return 0;
    }
    return 1;
}

#endif
