/* The formulas of the cells, and their derivatives, for one set of instructions and one number format: included by
   window_steps.h, which says NUMBER, how it becomes a float and is made of one, and NAME(f).

   A row's function has a pointer for each gate, none of which may be written through by another: so it becomes
   vectors. Where p stands, inputs' shares of the gates become the gates, and on the way back their gradients. With u the
   recurrent product, b biases, a the gates before their functions, d the adjoint of h, s sums of gradients for b: */

/* h' = tanh(a); da = (1 - h'^2) d */
TARGET APART static void NAME(rnn_row_forth)(int64_t size, const NUMBER *restrict p, const NUMBER *restrict u,
                                             const float *restrict b, NUMBER *restrict after) {
    for (int64_t j = 0; j < size; j++) after[j] = NARROW(hyperbolic_tangent(WIDE(p[j]) + WIDE(u[j]) + b[j]));
}

TARGET static void NAME(rnn_forth)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t at = (part->t * w->rows + row) * size + first;
        NAME(rnn_row_forth)(part->last - first, (const NUMBER *)w->gates + at,
                            (const NUMBER *)w->product + row * size + first, w->bias + first,
                            (NUMBER *)w->h + at + w->rows * size);
    }
}

TARGET APART static void NAME(rnn_row_back)(int64_t size, const NUMBER *restrict dh, const NUMBER *restrict dy,
                                            const NUMBER *restrict after, NUMBER *restrict p, float *restrict s) {
    for (int64_t j = 0; j < size; j++) {
        const float h = WIDE(after[j]), da = (1.0f - h * h) * (WIDE(dy[j]) + WIDE(dh[j]));
        p[j] = NARROW(da);
        s[j] += da;
    }
}

TARGET static void NAME(rnn_back)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t at = (part->t * w->rows + row) * size + first;
        NAME(rnn_row_back)(part->last - first, (const NUMBER *)w->product + row * size + first,
                           (const NUMBER *)w->dy + at, (const NUMBER *)w->h + at + w->rows * size,
                           (NUMBER *)w->gates + at, w->d_bias + first);
    }
}

/* i, f, o = sigmoid(a), g = tanh(a), c' = f c + i g, h' = o tanh(c') */
TARGET APART static void NAME(lstm_row_forth)(
    int64_t size, NUMBER *restrict p_i, NUMBER *restrict p_f, NUMBER *restrict p_g, NUMBER *restrict p_o,
    const NUMBER *restrict u_i, const NUMBER *restrict u_f, const NUMBER *restrict u_g, const NUMBER *restrict u_o,
    const float *restrict b_i, const float *restrict b_f, const float *restrict b_g, const float *restrict b_o,
    const float *restrict before, float *restrict memory, NUMBER *restrict after) {
    for (int64_t j = 0; j < size; j++) {
        const float i = sigmoid(WIDE(p_i[j]) + WIDE(u_i[j]) + b_i[j]), f = sigmoid(WIDE(p_f[j]) + WIDE(u_f[j]) + b_f[j]);
        const float g = hyperbolic_tangent(WIDE(p_g[j]) + WIDE(u_g[j]) + b_g[j]);
        const float o = sigmoid(WIDE(p_o[j]) + WIDE(u_o[j]) + b_o[j]), c = f * before[j] + i * g;
        p_i[j] = NARROW(i);
        p_f[j] = NARROW(f);
        p_g[j] = NARROW(g);
        p_o[j] = NARROW(o);
        memory[j] = c;
        after[j] = NARROW(o * hyperbolic_tangent(c));
    }
}

TARGET static void NAME(lstm_forth)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first, behind = w->rows * size;
    const float *b = w->bias + first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t number = part->t * w->rows + row, at = number * size + first;
        const NUMBER *u = (const NUMBER *)w->product + row * 4 * size + first;
        NUMBER *p = (NUMBER *)w->gates + number * 4 * size + first;
        NAME(lstm_row_forth)(part->last - first, p, p + size, p + 2 * size, p + 3 * size, u, u + size, u + 2 * size,
                             u + 3 * size, b, b + size, b + 2 * size, b + 3 * size, w->memory + at,
                             w->memory + at + behind, (NUMBER *)w->h + at + behind);
    }
}

/* dc' += o (1 - tanh(c')^2) d; da_i = g i (1 - i) dc', da_f = c f (1 - f) dc', da_g = i (1 - g^2) dc',
   da_o = tanh(c') o (1 - o) d; dc = f dc' */
TARGET APART static void NAME(lstm_row_back)(
    int64_t size, const NUMBER *restrict dh, const NUMBER *restrict dy, NUMBER *restrict p_i, NUMBER *restrict p_f,
    NUMBER *restrict p_g, NUMBER *restrict p_o, const float *restrict before, const float *restrict memory,
    float *restrict carried, float *restrict s_i, float *restrict s_f, float *restrict s_g, float *restrict s_o) {
    for (int64_t j = 0; j < size; j++) {
        const float i = WIDE(p_i[j]), f = WIDE(p_f[j]), g = WIDE(p_g[j]), o = WIDE(p_o[j]);
        const float shown = hyperbolic_tangent(memory[j]), d = WIDE(dy[j]) + WIDE(dh[j]);
        const float dc = carried[j] + o * (1.0f - shown * shown) * d;
        const float da_i = g * i * (1.0f - i) * dc, da_f = before[j] * f * (1.0f - f) * dc;
        const float da_g = i * (1.0f - g * g) * dc, da_o = shown * o * (1.0f - o) * d;
        p_i[j] = NARROW(da_i);
        p_f[j] = NARROW(da_f);
        p_g[j] = NARROW(da_g);
        p_o[j] = NARROW(da_o);
        carried[j] = f * dc;
        s_i[j] += da_i;
        s_f[j] += da_f;
        s_g[j] += da_g;
        s_o[j] += da_o;
    }
}

TARGET static void NAME(lstm_back)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first, behind = w->rows * size;
    float *s = w->d_bias + first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t number = part->t * w->rows + row, at = number * size + first;
        NUMBER *p = (NUMBER *)w->gates + number * 4 * size + first;
        NAME(lstm_row_back)(part->last - first, (const NUMBER *)w->product + row * size + first,
                            (const NUMBER *)w->dy + at, p, p + size, p + 2 * size, p + 3 * size, w->memory + at,
                            w->memory + at + behind, w->carried + row * size + first, s, s + size, s + 2 * size,
                            s + 3 * size);
    }
}

/* r, z = sigmoid(a), n = tanh(x_n + r u_n) where u_n has its own bias, h' = n + z (h - n) */
TARGET APART static void NAME(gru_row_forth)(
    int64_t size, NUMBER *restrict p_r, NUMBER *restrict p_z, NUMBER *restrict p_n, const NUMBER *restrict u_r,
    const NUMBER *restrict u_z, const NUMBER *restrict u_n, const float *restrict b_r, const float *restrict b_z,
    const float *restrict b_n, const float *restrict b_u, float *restrict share, const NUMBER *restrict before,
    NUMBER *restrict after) {
    for (int64_t j = 0; j < size; j++) {
        const float r = sigmoid(WIDE(p_r[j]) + WIDE(u_r[j]) + b_r[j]), z = sigmoid(WIDE(p_z[j]) + WIDE(u_z[j]) + b_z[j]);
        const float u = WIDE(u_n[j]) + b_u[j], n = hyperbolic_tangent(WIDE(p_n[j]) + b_n[j] + r * u);
        p_r[j] = NARROW(r);
        p_z[j] = NARROW(z);
        p_n[j] = NARROW(n);
        share[j] = u;
        after[j] = NARROW(n + z * (WIDE(before[j]) - n));
    }
}

TARGET static void NAME(gru_forth)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first;
    const float *b = w->bias + first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t number = part->t * w->rows + row, at = number * size + first;
        const NUMBER *u = (const NUMBER *)w->product + row * 3 * size + first;
        NUMBER *p = (NUMBER *)w->gates + number * 3 * size + first, *h = (NUMBER *)w->h + at;
        NAME(gru_row_forth)(part->last - first, p, p + size, p + 2 * size, u, u + size, u + 2 * size, b, b + size,
                            b + 2 * size, b + 3 * size, w->memory + at, h, h + w->rows * size);
    }
}

/* da_n = (1 - z) (1 - n^2) d, du_n = r da_n, da_r = u_n r (1 - r) da_n, da_z = (h - n) z (1 - z) d; z d goes on.
   Where p stands are then the gradients of the recurrent product, and where q stands those of the inputs' shares. */
TARGET APART static void NAME(gru_row_back)(
    int64_t size, const NUMBER *restrict dh, const NUMBER *restrict dy, NUMBER *restrict p_r, NUMBER *restrict p_z,
    NUMBER *restrict p_n, const float *restrict share, const NUMBER *restrict before, NUMBER *restrict q_r,
    NUMBER *restrict q_z, NUMBER *restrict q_n, float *restrict carried, float *restrict s_r, float *restrict s_z,
    float *restrict s_n, float *restrict s_u) {
    for (int64_t j = 0; j < size; j++) {
        const float r = WIDE(p_r[j]), z = WIDE(p_z[j]), n = WIDE(p_n[j]), d = carried[j] + WIDE(dy[j]) + WIDE(dh[j]);
        const float da_n = (1.0f - z) * (1.0f - n * n) * d, du_n = r * da_n;
        const float da_r = share[j] * r * (1.0f - r) * da_n, da_z = (WIDE(before[j]) - n) * z * (1.0f - z) * d;
        p_r[j] = q_r[j] = NARROW(da_r);
        p_z[j] = q_z[j] = NARROW(da_z);
        p_n[j] = NARROW(du_n);
        q_n[j] = NARROW(da_n);
        carried[j] = z * d;
        s_r[j] += da_r;
        s_z[j] += da_z;
        s_n[j] += da_n;
        s_u[j] += du_n;
    }
}

TARGET static void NAME(gru_back)(const Window *w, const Part *part) {
    const int64_t size = w->hidden, first = part->first;
    float *s = w->d_bias + first;
    for (int64_t row = 0; row < w->rows; row++) {
        const int64_t number = part->t * w->rows + row, at = number * size + first, gates = number * 3 * size + first;
        NUMBER *p = (NUMBER *)w->gates + gates, *q = (NUMBER *)w->d_projected + gates;
        NAME(gru_row_back)(part->last - first, (const NUMBER *)w->product + row * size + first,
                           (const NUMBER *)w->dy + at, p, p + size, p + 2 * size, w->memory + at,
                           (const NUMBER *)w->h + at, q, q + size, q + 2 * size, w->carried + row * size + first, s,
                           s + size, s + 2 * size, s + 3 * size);
    }
}

#undef NUMBER
#undef WIDE
#undef NARROW
#undef NAME
