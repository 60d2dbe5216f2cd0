// The model as charrnn computes it in int8: integer sums, functions from tables, one float32 operation at a time, and
// the same uniforms; so a seed gives the text of `charrnn sample --seed N --precision int8`, to the letter.
// H hidden, G gates x H, V symbols.
const f32 = Math.fround, POINTS = 32768, STEPS = 1024;

// ---- functions on a grid (inference/tables.py)

class Table {
  constructor(value, first, steps) {
    this.values = Float32Array.from({ length: POINTS + 1 }, (_, i) => Math.round(value(first + i / steps) * 2 ** 24) / 2 ** 24);
    this.scale = steps;
    this.shift = f32(0.5 - first * steps);
  }
  at(x) {
    const place = f32(x * this.scale + this.shift); // the scale is a power of two: the product is exact
    return this.values[place > 0 ? place < POINTS ? place | 0 : POINTS : 0];
  }
}
const SIGMOID = new Table(x => 1 / (1 + Math.exp(-x)), -16, STEPS), TANH = new Table(Math.tanh, -8, 2 * STEPS);
const EXP = new Table(Math.exp, -32, STEPS), LOG = new Table(Math.log, 0.5, 2 * POINTS);

// 2^(-i / 1024) down to i = 2^16 - 1, which counts as 0: the 1024th root by ten square roots of whole numbers.
const POWERS = (() => {
  const one = 1n << 128n, all = new Float64Array(65536);
  const root = square => {
    for (let x = 1n << BigInt(square.toString(2).length + 1 >> 1); ;) {
      const next = x + square / x >> 1n;
      if (next >= x) return x;
      x = next;
    }
  };
  let base = 2n * one, power = one;
  for (let n = 0; n < 10; n++) base = root(base << 128n);
  for (let i = 0; i < 1024; i++, power = (power << 128n) / base)
    for (let octave = 0; octave < 64; octave++) all[1024 * octave + i] = Number(power) * 2 ** -128 * 2 ** -octave;
  all[65535] = 0;
  return all;
})();

// e^x of what is not above 0.
function relative(x) {
  const far = x * -1477.3197218702985, near = far > 0 ? far : 0, place = near < 65535 ? near : 65535, step = place | 0;
  const rest = place - step;
  let factor = 2.290978498068816e-07 - rest * 5.169222938345892e-11;
  factor = factor * rest - 0.0006769015435155716;
  return POWERS[step] * (factor * rest + 1);
}

// ---- the network (inference/network.py)

class Layer {
  constructor(record, array, cell, hidden, plain) {
    this.product = new Product(array(record.weight), array(record.scale), plain);
    this.bias = array(record.bias);
    this.own = record.recurrent && array(record.recurrent);
    const shares = (this.shares = { lstm: 4, gru: 3, rnn: 1 }[cell] * hidden);
    Object.assign(this, { cell, hidden, gates: new Float32Array(shares), given: new Float32Array(shares) });
    Object.assign(this, { h: new Float32Array(hidden), c: new Float32Array(hidden), before: new Float32Array(hidden) });
    this.recurrent = new Float32Array(shares);
  }
  begin() {
    for (const part of [this.h, this.c, this.product.x, this.product.y]) part.fill(0);
  }
  // What comes from below (G,) -> the next state, in 8 bits too, and its products.
  step(given) {
    const { h, c, before, gates, product } = this, { x, y } = product;
    this.given.set(given);
    this.recurrent.set(y.subarray(0, this.shares));
    before.set(this.cell === "lstm" ? c : h);
    this[this.cell](given, y, this.hidden, h, c, gates);
    // To the nearest whole number, of two the even one.
    for (let j = 0; j < h.length; j++) x[j] = f32(f32(h[j] * 127) + 12582912) - 12582912;
    product.run();
  }
  lstm(given, y, size, h, c, gates) {
    for (let j = 0; j < 4 * size; j++) {
      const sum = f32(given[j] + y[j]);
      gates[j] = j >= 2 * size && j < 3 * size ? TANH.at(sum) : SIGMOID.at(sum);
    }
    for (let j = 0; j < size; j++) {
      c[j] = f32(gates[size + j] * c[j]) + f32(gates[j] * gates[2 * size + j]);
      h[j] = gates[3 * size + j] * TANH.at(c[j]);
    }
  }
  gru(given, y, size, h, c, gates) {
    const own = this.own;
    for (let j = 0; j < 2 * size; j++) gates[j] = SIGMOID.at(f32(given[j] + f32(y[j] + own[j])));
    for (let j = 0, n = 2 * size; j < size; j++, n++) {
      const candidate = (gates[n] = TANH.at(f32(given[n] + f32(gates[j] * f32(y[n] + own[n])))));
      h[j] = candidate + f32(gates[size + j] * f32(h[j] - candidate));
    }
  }
  rnn(given, y, size, h) {
    for (let j = 0; j < size; j++) h[j] = TANH.at(f32(given[j] + y[j]));
  }
}

class Network {
  constructor(record, array, { cell, hidden, symbols }, plain) {
    this.table = array(record.table);
    this.layers = record.layers.map(layer => new Layer(layer, array, cell, hidden, plain));
    this.logits = new Float32Array(symbols);
    this.above = new Float32Array(this.layers[0].shares);
  }
  step(token) {
    const { layers, above, logits } = this, { shares } = layers[0];
    layers.forEach((layer, number) => {
      if (number) {
        const { bias, product: { y } } = layers[number - 1];
        for (let j = 0; j < shares; j++) above[j] = y[shares + j] + bias[j];
      }
      layer.step(number ? above : this.table.subarray(token * shares, (token + 1) * shares));
    });
    const { bias, product: { y } } = layers.at(-1);
    for (let j = 0; j < logits.length; j++) logits[j] = y[shares + j] + bias[j];
  }
}

// One network, or several whose probabilities are averaged (integer_mixture in inference/integer.py); counts beside them.
class Model {
  // `array` gives an array of the page by its place.
  constructor(record, array, plain = false) {
    this.record = record;
    this.networks = record.networks.map(network => new Network(network, array, record, plain));
    this.own = this.networks.length > 1 ? new Float32Array(record.symbols) : this.networks[0].logits;
    this.counts = record.counts && new Counts(record.counts, array, record.symbols);
    this.logits = this.counts ? new Float32Array(record.symbols) : this.own;
  }
  begin() {
    for (const { layers } of this.networks) for (const layer of layers) layer.begin();
    this.counts?.begin();
    this.read(this.record.start);
  }
  read(token) {
    for (const network of this.networks) network.step(token);
    if (this.networks.length > 1) this.mix();
    this.counts?.read(token, this.own, this.logits);
  }
  mix() {
    const size = this.own.length, mean = new Float64Array(size), shares = new Float64Array(size);
    for (const { logits } of this.networks) {
      let most = -Infinity, sum = 0;
      for (let j = 0; j < size; j++) most = Math.max(most, logits[j]);
      for (let j = 0; j < size; j++) sum += shares[j] = EXP.at(f32(logits[j] - most)) * 2 ** 24;
      const worth = 2 ** 40 / sum;
      for (let j = 0; j < size; j++) mean[j] += shares[j] * worth + 6755399441055744 - 6755399441055744;
    }
    for (let j = 0; j < size; j++) {
      let mantissa = Math.max(mean[j], 1) / (2 ** 40 * this.networks.length), exponent = 0;
      while (mantissa < 0.5) mantissa *= 2, exponent--;
      if (mantissa >= 1) mantissa /= 2, exponent++;
      this.own[j] = exponent * 0.6931471805599453 + LOG.at(f32(mantissa));
    }
  }
}

// ---- the draw (generation/drawing.py, generation/processors)

// Logits (V,), settings -> e^(logit - largest) of what temperature and filters leave, 0 of what they drop.
function shares(logits, { temperature = 1, topK = 0, topP = 0, minP = 0 }) {
  const x = Float64Array.from(logits), size = x.length;
  let most = -Infinity;
  if (!(temperature > 1e-300)) {
    const best = x.reduce((found, one, j) => one > x[found] ? j : found, 0);
    return x.map((_, j) => +(j === best));
  }
  for (let j = 0; j < size; j++) most = Math.max(most, (x[j] /= temperature));
  let share = x.map(one => relative(one - most));
  if (topK || topP) {
    const order = Array.from(x.keys()).sort((a, b) => x[b] - x[a] || a - b);
    if (topK) for (const j of order.splice(topK)) share[j] = 0;
    if (topP) {
      const enough = topP * share.reduce((sum, one) => sum + one, 0);
      for (let n = 0, reached = 0; n < order.length; n++) {
        const own = share[order[n]], together = reached + own;
        if (together - own >= enough) { for (const j of order.slice(n)) share[j] = 0; break; }
        reached = together;
      }
    }
  }
  return minP ? share.map(one => one < minP ? 0 : one) : share;
}

function draw(share, uniform) {
  let sum = 0, last = 0;
  const reached = share.map(one => sum += one), place = uniform * sum;
  for (let j = 0; j < reached.length; j++) last += reached[j] <= place;
  return Math.min(last, reached.length - 1);
}

// Numbers in [0, 1): PCG64 (O'Neill 2014) begun as NumPy begins it, from a seed below 2^32.
class Uniforms {
  constructor(seed) {
    const pool = [seed, 0, 0, 0], all = (1n << 128n) - 1n;
    let mixer = 0x43b0d7e5;
    const hashed = value => {
      value ^= mixer;
      mixer = Math.imul(mixer, 0x931e8875);
      value = Math.imul(value, mixer);
      return value ^ value >>> 16;
    };
    const mixed = (x, y) => {
      const result = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
      return result ^ result >>> 16;
    };
    for (let i = 0; i < 4; i++) pool[i] = hashed(pool[i]);
    for (let from = 0; from < 4; from++)
      for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
    let hash = 0x8b51f9dd;
    const made = Array.from({ length: 8 }, (_, i) => {
      let value = pool[i % 4] ^ hash;
      hash = Math.imul(hash, 0x58f38ded);
      value = Math.imul(value, hash);
      return BigInt((value ^ value >>> 16) >>> 0);
    });
    const [high, low, highStep, lowStep] = [0, 2, 4, 6].map(i => made[i + 1] << 32n | made[i]);
    this.all = all;
    this.add = (highStep << 65n | lowStep << 1n | 1n) & all;
    this.state = this.add + (high << 64n | low) & all;
    this.turn();
  }
  turn() {
    this.state = this.state * 0x2360ed051fc65da44385df649fccf645n + this.add & this.all;
  }
  next() {
    this.turn();
    const word = (this.state >> 64n ^ this.state) & 0xffffffffffffffffn, by = this.state >> 122n;
    return Number((word >> by | word << 64n - by) >> 11n & 0x1fffffffffffffn) * 2 ** -53;
  }
}

// ---- text

class Letters {
  constructor({ kind, symbols }) {
    this.bytes = kind === "byte";
    this.symbols = this.bytes ? null : symbols.map(point => String.fromCodePoint(point));
    this.ids = new Map(this.symbols?.map((symbol, id) => [symbol, id]));
  }
  // -> ids, and the characters that the model does not know.
  encode(text) {
    if (this.bytes) return { ids: [...new TextEncoder().encode(text)], unknown: [] };
    const all = [...text];
    return { ids: all.filter(one => this.ids.has(one)).map(one => this.ids.get(one)), unknown: all.filter(one => !this.ids.has(one)) };
  }
  // id -> the text that it completes, none of half a character.
  decoder() {
    if (!this.bytes) return id => this.symbols[id] ?? "";
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return id => id < 256 ? utf8.decode(Uint8Array.of(id), { stream: true }) : utf8.decode();
  }
  named(id) {
    if (!this.bytes) return this.symbols[id] ?? "";
    return id > 255 ? "" : id < 128 ? String.fromCharCode(id) : `<${id.toString(16).toUpperCase()}>`;
  }
}

// A text as it is written: `next` gives one token, its text, and whether it is the end.
class Writing {
  constructor(model, ids, settings) {
    Object.assign(this, { model, settings, length: 0, uniforms: new Uniforms(settings.seed) });
    this.decode = new Letters(model.record.tokenizer).decoder();
    model.begin();
    for (const id of ids) model.read(id);
  }
  get done() { return this.length >= this.settings.length; }
  next() {
    const { model, settings } = this;
    const token = draw(shares(model.logits, settings), this.uniforms.next());
    const ends = token === model.record.start, text = this.decode(token);
    this.length = ends ? Infinity : this.length + [...text].length;
    if (!ends) model.read(token);
    return { token, text, ends };
  }
}

function written(model, prompt, settings) {
  const writing = new Writing(model, new Letters(model.record.tokenizer).encode(prompt).ids, settings);
  let text = "";
  while (!writing.done) text += writing.next().text;
  return text;
}
