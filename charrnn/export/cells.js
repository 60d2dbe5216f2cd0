// One step of each cell and its way back, by charrnn's formulas (models/cells). Shapes: B rows, H hidden, G gates x H.
// `given` is what comes from the input (B, G), `own` from the state (B, G), biases in both; gates stand as in torch:
// i f g o, and r z n. `forward` leaves in `given` what the gates came to. `back` takes dh and, of an LSTM, dc (B, H), and
// leaves what the step before is to have: dc, and that part of dh which goes through no product.
const sigmoid = x => 1 / (1 + Math.exp(-x)), tanh = x => 1 - 2 / (Math.exp(2 * x) + 1);

// Long short-term memory: c' = f c + i g, h' = o tanh(c').
const lstm = {
  title: "LSTM", short: "LSTM", gates: 4, forget: 1,
  forward({ given, own, h, c, before }, size) {
    for (let row = 0, at = 0; at < h.length; row += 4 * size)
      for (let n = row; n < row + size; n++, at++) {
        const f = n + size, g = f + size, o = g + size;
        given[n] = sigmoid(given[n] + own[n]);
        given[f] = sigmoid(given[f] + own[f]);
        given[g] = tanh(given[g] + own[g]);
        given[o] = sigmoid(given[o] + own[o]);
        c[at] = given[f] * before.c[at] + given[n] * given[g];
        h[at] = given[o] * tanh(c[at]);
      }
  },
  back({ given, c, before, dGiven }, dh, dc, size) {
    for (let row = 0, at = 0; at < dh.length; row += 4 * size)
      for (let n = row; n < row + size; n++, at++) {
        const f = n + size, g = f + size, o = g + size, bent = tanh(c[at]);
        const through = dc[at] + dh[at] * given[o] * (1 - bent * bent);
        dGiven[n] = through * given[g] * given[n] * (1 - given[n]);
        dGiven[f] = through * before.c[at] * given[f] * (1 - given[f]);
        dGiven[g] = through * given[n] * (1 - given[g] * given[g]);
        dGiven[o] = dh[at] * bent * given[o] * (1 - given[o]);
        dc[at] = through * given[f];
        dh[at] = 0;
      }
  },
};

// Gated recurrent unit, the reset gate behind the product: n = tanh(x + r own), h' = n + z (h - n).
const gru = {
  title: "GRU", short: "GRU", gates: 3, forget: null,
  forward({ given, own, h, before }, size) {
    for (let row = 0, at = 0; at < h.length; row += 3 * size)
      for (let r = row; r < row + size; r++, at++) {
        const z = r + size, n = z + size;
        given[r] = sigmoid(given[r] + own[r]);
        given[z] = sigmoid(given[z] + own[z]);
        given[n] = tanh(given[n] + given[r] * own[n]);
        h[at] = given[n] + given[z] * (before.h[at] - given[n]);
      }
  },
  back({ given, own, before, dGiven, dOwn }, dh, dc, size) {
    for (let row = 0, at = 0; at < dh.length; row += 3 * size)
      for (let r = row; r < row + size; r++, at++) {
        const z = r + size, n = z + size;
        dGiven[n] = dh[at] * (1 - given[z]) * (1 - given[n] * given[n]);
        dGiven[z] = dOwn[z] = dh[at] * (before.h[at] - given[n]) * given[z] * (1 - given[z]);
        dGiven[r] = dOwn[r] = dGiven[n] * own[n] * given[r] * (1 - given[r]);
        dOwn[n] = dGiven[n] * given[r];
        dh[at] *= given[z];
      }
  },
};

// Simple recurrent network: h' = tanh(x + own).
const rnn = {
  title: "Simple RNN", short: "RNN", gates: 1, forget: null,
  forward({ given, own, h }) {
    for (let at = 0; at < h.length; at++) h[at] = tanh(given[at] + own[at]);
  },
  back({ h, dGiven }, dh) {
    for (let at = 0; at < dh.length; at++) {
      dGiven[at] = dh[at] * (1 - h[at] * h[at]);
      dh[at] = 0;
    }
  },
};

// Simple network of Gaussian error linear units, by their tanh: h' = a / 2 (1 + tanh(s (a + k a^3))), a = x + own.
const BEND = 0.7978845608028654, CUBE = 0.044715;
const rnnGelu = {
  title: "RNN with GELU", short: "GELU", gates: 1, forget: null,
  forward({ given, own, h }) {
    for (let at = 0; at < h.length; at++) {
      const a = (given[at] += own[at]);
      h[at] = 0.5 * a * (1 + tanh(BEND * (a + CUBE * a * a * a)));
    }
  },
  back({ given, dGiven }, dh) {
    for (let at = 0; at < dh.length; at++) {
      const a = given[at], bent = tanh(BEND * (a + CUBE * a * a * a));
      dGiven[at] = dh[at] * 0.5 * (1 + bent + a * (1 - bent * bent) * BEND * (1 + 3 * CUBE * a * a));
      dh[at] = 0;
    }
  },
};

const CELLS = { lstm, gru, rnn, "rnn-gelu": rnnGelu };
