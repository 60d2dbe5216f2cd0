/* Recurrent products of steps, for one set of instructions and one number format: weights are packed once for a window,
   and each thread has its own units, so its share of the weights stays in the cache next to it. Included by
   window_sets.h, which says

   NAME(f)                  the name of a function
   TARGET                   what tells the compiler which instructions it may use
   NUMBER, AT_ONCE          what inputs and outputs are, and how many inputs are multiplied in one instruction
   VECTOR, LANES            sums of so many outputs
   LOADED(w), SPREAD(x)     a vector of weights (WEIGHTS), and inputs put beside each of them (INPUTS)
   ADD(sums, x, w)          as it says
   STORE(y, sums)           sums become outputs
   ROWS(vectors)            so many rows at once by so many vectors are held in registers

   Columns of a product are taken by up to 4 vectors side by side, a panel: those of one cell's gates, so that a thread
   which has a unit has all gates of it; else those of neighbours. Panels of a thread lie one after another, in each the inputs:
   (inputs / AT_ONCE, vectors, LANES, AT_ONCE). Units are a multiple of 16. */

TARGET static ALWAYS_INLINE void NAME(tile)(const Shape *shape, const NUMBER *x, const NUMBER *weight, NUMBER *y,
                                            const int rows, const int vectors) {
    VECTOR sums[24];
    for (int i = 0; i < rows * vectors; i++) sums[i] = (VECTOR){0};
    for (int64_t at = 0; at < shape->inputs; at += AT_ONCE, weight += vectors * LANES * AT_ONCE) {
        WEIGHTS w[4];
        for (int v = 0; v < vectors; v++) w[v] = LOADED(weight + v * LANES * AT_ONCE);
        for (int row = 0; row < rows; row++) {
            const INPUTS given = SPREAD(x + row * shape->inputs + at);
            for (int v = 0; v < vectors; v++) ADD(sums[row * vectors + v], given, w[v]);
        }
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++) STORE(y + row * shape->outputs + v * shape->apart, sums[row * vectors + v]);
}

/* All rows of x (B, inputs) by a panel. Inlined with constants, so that tiles are whole. */
TARGET static ALWAYS_INLINE void NAME(panel)(const Shape *shape, const NUMBER *x, const NUMBER *weight, NUMBER *y,
                                             int64_t rows, const int at_once, const int vectors) {
    int64_t row = 0;
    for (; row + at_once <= rows; row += at_once)
        NAME(tile)(shape, x + row * shape->inputs, weight, y + row * shape->outputs, at_once, vectors);
    for (; at_once > 4 && row + 4 <= rows; row += 4)
        NAME(tile)(shape, x + row * shape->inputs, weight, y + row * shape->outputs, 4, vectors);
    for (; row < rows; row++)
        NAME(tile)(shape, x + row * shape->inputs, weight, y + row * shape->outputs, 1, vectors);
}

/* The last panel may have fewer vectors. */
TARGET static void NAME(multiply)(const Window *window, const Shape *shape, const void *given, int64_t first,
                                  int64_t last) {
    const NUMBER *x = given;
    for (int64_t unit = first; unit < last; unit += shape->units) {
        const NUMBER *weight = (const NUMBER *)window->weight + unit * (shape->outputs / window->hidden) * shape->inputs;
        NUMBER *y = (NUMBER *)window->product + unit;
        const int vectors = vectors_of(shape, last - unit);
        if (vectors == 4) NAME(panel)(shape, x, weight, y, window->rows, ROWS(4), 4);
        if (vectors == 3) NAME(panel)(shape, x, weight, y, window->rows, ROWS(3), 3);
        if (vectors == 2) NAME(panel)(shape, x, weight, y, window->rows, ROWS(2), 2);
        if (vectors == 1) NAME(panel)(shape, x, weight, y, window->rows, ROWS(1), 1);
    }
}

/* Recurrent weights (G, H) -> packed. */
static void NAME(pack)(const Window *window, const Shape *shape, const void *given, int64_t first, int64_t last,
                       int back) {
    const NUMBER *weight = given;
    const int64_t size = window->hidden;
    NUMBER *packed = (NUMBER *)window->weight + first * (shape->outputs / size) * shape->inputs;
    for (int64_t unit = first; unit < last; unit += shape->units) {
        const int vectors = vectors_of(shape, last - unit);
        for (int64_t at = 0; at < shape->inputs; at += AT_ONCE)
            for (int v = 0; v < vectors; v++)
                for (int64_t lane = 0; lane < LANES; lane++)
                    for (int64_t input = at; input < at + AT_ONCE; input++) {
                        const int64_t output = unit + v * shape->apart + lane;
                        *packed++ = back ? weight[input * size + output] : weight[output * size + input];
                    }
    }
}

static const Products NAME(products) = {NAME(multiply), NAME(pack), LANES};

#undef NAME
#undef TARGET
#undef NUMBER
#undef AT_ONCE
#undef VECTOR
#undef LANES
#undef WEIGHTS
#undef INPUTS
#undef LOADED
#undef SPREAD
#undef ADD
#undef STORE
#undef ROWS
