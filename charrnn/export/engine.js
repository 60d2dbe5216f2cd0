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

// One network, or several whose probabilities are averaged (integer_mixture in inference/integer.py), or each mixed with counts.
class Model {
  // `array` gives an array of the page by its place.
  constructor(record, array, plain = false) {
    this.record = record;
    this.networks = record.networks.map(network => new Network(network, array, record, plain));
    this.own = this.networks.length > 1 ? new Float32Array(record.symbols) : this.networks[0].logits;
    this.counts = record.counts && new Counts(record.counts, array, record.symbols);
    this.logits = this.counts ? new Float32Array(record.symbols) : this.own;
    this.apart = this.counts?.networks > 1;
  }
  begin() {
    for (const { layers } of this.networks) for (const layer of layers) layer.begin();
    this.counts?.begin();
    this.read(this.record.start);
  }
  read(token) {
    for (const network of this.networks) network.step(token);
    if (this.networks.length > 1 && !this.apart) this.mix();
    this.counts?.read(token, this.apart ? this.networks.map(network => network.logits) : [this.own], this.logits);
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
