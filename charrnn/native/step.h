/* One time step of a network, and exponentials for the draw, for one set of instructions: included once for each, by network.c, which says

   NAME(f)      the name of a function in this set
   TARGET       what tells the compiler which instructions it may use
   VECTOR       a vector of 32-bit sums, LANES of them, and how it is begun, added to and stored
   FLIPPED      what the outputs are XORed with where a product wants them unsigned: 0 or 0x80
   ROW_TILE, ONE_ROW_VECTORS, TILE_VECTORS    so many sums are held in registers at once

   Every sum is of whole numbers and exact; every other number is made by one IEEE operation at a time, in the order in
   which NumPy makes it (see network.py, products.py and tables.py). So the result is the same to the bit. */

/* A tile of the product: `vectors` times LANES outputs of `rows` rows. Inlined with constants, so that it unrolls. */
TARGET static ALWAYS_INLINE void NAME(tile)(const Layer *layer, const int8_t *x, int64_t x_stride, float *y,
                                            int64_t y_stride, int64_t first, const int rows, const int vectors) {
    VECTOR sums[ROW_TILE > ONE_ROW_VECTORS ? ROW_TILE * TILE_VECTORS : ONE_ROW_VECTORS + ROW_TILE * TILE_VECTORS];
    const int64_t quads = x_stride / QUAD;
    const int8_t *weight[ONE_ROW_VECTORS > TILE_VECTORS ? ONE_ROW_VECTORS : TILE_VECTORS];
    for (int v = 0; v < vectors; v++) {
        const int64_t output = first + v * LANES;
        weight[v] = layer->weight + (output / BLOCK * quads * BLOCK + output % BLOCK) * QUAD;
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++) sums[row * vectors + v] = BEGUN(layer->corrections + first + v * LANES);
    for (int64_t quad = 0; quad < quads; quad++) {
        for (int v = 0; v < vectors; v++) {
            const WEIGHTS weights = LOADED(weight[v] + quad * BLOCK * QUAD);
            for (int row = 0; row < rows; row++)
                ADD(sums[row * vectors + v], weights, x + row * x_stride + quad * QUAD);
        }
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++) {
            const int64_t output = first + v * LANES;
            STORE(y + row * y_stride + output, sums[row * vectors + v], layer->scales + output);
        }
}

/* x (rows, x_stride) in 8 bits -> products (rows, N). */
TARGET static void NAME(product)(const Layer *layer, const int8_t *x, int64_t x_stride, float *y, int64_t y_stride,
                                 int64_t rows) {
    const int64_t outputs = ROUND_UP(layer->outputs, BLOCK);
    if (rows == 1) {
        int64_t first = 0;
        for (; first + ONE_ROW_VECTORS * LANES <= outputs; first += ONE_ROW_VECTORS * LANES)
            NAME(tile)(layer, x, x_stride, y, y_stride, first, 1, ONE_ROW_VECTORS);
        for (; first < outputs; first += LANES) NAME(tile)(layer, x, x_stride, y, y_stride, first, 1, 1);
        return;
    }
    for (int64_t first = 0; first < outputs; first += TILE_VECTORS * LANES) {
        const int whole = first + TILE_VECTORS * LANES <= outputs;
        int64_t row = 0;
        for (; row + ROW_TILE <= rows; row += ROW_TILE) {
            if (whole)
                NAME(tile)(layer, x + row * x_stride, x_stride, y + row * y_stride, y_stride, first, ROW_TILE,
                           TILE_VECTORS);
            else
                for (int64_t at = first; at < outputs; at += LANES)
                    NAME(tile)(layer, x + row * x_stride, x_stride, y + row * y_stride, y_stride, at, ROW_TILE, 1);
        }
        for (; row < rows; row++)
            for (int64_t at = first; at < outputs && at < first + TILE_VECTORS * LANES; at += LANES)
                NAME(tile)(layer, x + row * x_stride, x_stride, y + row * y_stride, y_stride, at, 1, 1);
    }
}

/* A layer's output in 8 bits, rounded to even. */
TARGET static ALWAYS_INLINE int8_t NAME(eighth)(float h) {
    const float level = h * 127.0f;
    const float bounded = level > 127.0f ? 127.0f : level > -127.0f ? level : -127.0f;
    return (int8_t)((int32_t)nearbyintf(bounded) ^ FLIPPED);
}

/* Of one row: shares of the gates from below and from the state -> the next state. Places in tables are reckoned side
   by side, entries are fetched one by one. */
TARGET static void NAME(gates)(const Network *network, const Layer *layer, const float *restrict projected,
                               const float *restrict recurrent, float *restrict h, float *restrict c,
                               float *restrict gates, int32_t *restrict places, int8_t *restrict x) {
    const int64_t size = network->hidden;
    const Function sigmoid = network->sigmoid, tanh = network->tanh;
    if (network->cell == LSTM) {
        for (int64_t j = 0; j < 2 * size; j++) places[j] = place_of(&sigmoid, projected[j] + recurrent[j]);
        for (int64_t j = 2 * size; j < 3 * size; j++) places[j] = place_of(&tanh, projected[j] + recurrent[j]);
        for (int64_t j = 3 * size; j < 4 * size; j++) places[j] = place_of(&sigmoid, projected[j] + recurrent[j]);
        fetch(&sigmoid, places, gates, 2 * size);
        fetch(&tanh, places + 2 * size, gates + 2 * size, size);
        fetch(&sigmoid, places + 3 * size, gates + 3 * size, size);
        for (int64_t j = 0; j < size; j++) {
            const float kept = gates[size + j] * c[j], taken = gates[j] * gates[2 * size + j];
            c[j] = kept + taken;
            places[j] = place_of(&tanh, c[j]);
        }
        fetch(&tanh, places, h, size);
        for (int64_t j = 0; j < size; j++) h[j] = gates[3 * size + j] * h[j];
    } else if (network->cell == GRU) {
        const float *bias = layer->recurrent_bias;
        float *candidate = gates + 2 * size;
        for (int64_t j = 0; j < 2 * size; j++)
            places[j] = place_of(&sigmoid, projected[j] + (recurrent[j] + bias[j]));
        fetch(&sigmoid, places, gates, 2 * size);
        for (int64_t j = 0; j < size; j++) {
            const int64_t n = 2 * size + j;
            const float reset = gates[j] * (recurrent[n] + bias[n]);
            places[j] = place_of(&tanh, projected[n] + reset);
        }
        fetch(&tanh, places, candidate, size);
        for (int64_t j = 0; j < size; j++) {
            const float moved = gates[size + j] * (h[j] - candidate[j]);
            h[j] = candidate[j] + moved;
        }
    } else {
        for (int64_t j = 0; j < size; j++) places[j] = place_of(&tanh, projected[j] + recurrent[j]);
        fetch(&tanh, places, h, size);
    }
    for (int64_t j = 0; j < size; j++) x[j] = NAME(eighth)(h[j]);
}

/* One step of all rows, in place. `scratch` as `scratch_size` says. */
TARGET static void NAME(step)(const Network *network, int64_t rows, const int64_t *tokens, float *memory,
                              float *logits, float *scratch) {
    const int64_t size = network->hidden, shares = network->gates * size, stride = network->stride;
    const int64_t x_stride = ROUND_UP(size, QUAD);
    float *projected = scratch, *gates = scratch + shares;
    int32_t *places = (int32_t *)(scratch + 2 * shares);
    int8_t *x = (int8_t *)(scratch + 3 * shares);
    for (int64_t number = 0; number < network->layers; number++) {
        const Layer *layer = &network->layer[number], *below = layer - 1;
        for (int64_t row = 0; row < rows; row++) {
            float *own = memory + row * stride;
            const float *given = network->table + tokens[row] * shares;
            if (number) {
                const float *product = own + below->products + shares;
                for (int64_t j = 0; j < shares; j++) projected[j] = product[j] + below->bias[j];
                given = projected;
            }
            NAME(gates)(network, layer, given, own + layer->products, own + layer->h, own + layer->c, gates,
                        places, x + row * x_stride);
        }
        NAME(product)(layer, x, x_stride, memory + layer->products, stride, rows);
    }
    const Layer *last = &network->layer[network->layers - 1];
    for (int64_t row = 0; row < rows; row++)
        for (int64_t j = 0; j < network->symbols; j++)
            logits[row * network->symbols + j] = memory[row * stride + last->products + shares + j] + last->bias[j];
}

/* Counts beside it (mixture.h), of one row. */
TARGET static void NAME(mix)(const Counts *counts, const int64_t *contexts, const float *logits, int64_t apart,
                             float *mixed, float *floats) {
    mix_row(counts, contexts, logits, apart, mixed, floats);
}

/* e^x of `count` numbers, none above 0, where they stand; below about 5e-20, 0. As `relative` of tables.py has it. */
TARGET static void NAME(exponentiate)(const double *powers, double *restrict x, int32_t *restrict step,
                                      int64_t count) {
    for (int64_t j = 0; j < count; j++) {
        const double far = x[j] * TO_STEPS, near = far > 0.0 ? far : 0.0, place = near < LAST_STEP ? near : LAST_STEP;
        step[j] = (int32_t)place;
        const double rest = place - (double)step[j];
        const double third = rest * THIRD_ORDER;
        double factor = SECOND_ORDER - third;
        factor = factor * rest;
        factor = factor - FIRST_ORDER;
        factor = factor * rest;
        factor = factor + 1.0;
        x[j] = factor;
    }
    for (int64_t j = 0; j < count; j++) {
        uint64_t bits;
        memcpy(&bits, powers + (step[j] & 1023), sizeof bits);
        bits -= (uint64_t)(step[j] >> 10) << 52; /* halved once an octave */
        bits = step[j] < LAST_STEP ? bits : 0;
        double power;
        memcpy(&power, &bits, sizeof power);
        x[j] = power * x[j];
    }
}

#undef NAME
#undef TARGET
#undef VECTOR
#undef LANES
#undef WEIGHTS
#undef LOADED
#undef BEGUN
#undef ADD
#undef STORE
#undef FLIPPED
#undef ROW_TILE
#undef ONE_ROW_VECTORS
#undef TILE_VECTORS
