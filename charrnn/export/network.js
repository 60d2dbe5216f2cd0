// A network of one layer that learns, in 64-bit floats: embedding -> cell -> head, and its gradients by truncated
// back-propagation through time, as charrnn's one-layer model has them.
// Shapes: B rows, T steps, R = T x B, E = H hidden, G gates x H, V symbols; id V is the context of a first symbol.

class Network {
  // `radius`: the spectral radius that what multiplies the state begins with.
  constructor({ cell, hidden, symbols, radius = 1 }, uniforms) {
    const gates = CELLS[cell].gates * hidden;
    Object.assign(this, { cell: CELLS[cell], hidden, symbols, gates });
    this.shapes = {
      embedding: [symbols + 1, hidden], inputs: [gates, hidden], recurrent: [gates, hidden],
      inputBias: [gates], recurrentBias: [gates], head: [symbols, hidden], bias: [symbols],
    };
    this.size = Object.values(this.shapes).reduce((all, [rows, columns = 1]) => all + rows * columns, 0);
    [this.weights, this.all] = this.laid();
    this.table = new Float64Array((symbols + 1) * gates);
    this.initialise(uniforms, radius);
    this.moved();
  }
  // As many numbers as there are weights: by name, and all in one row.
  laid() {
    const all = new Float64Array(this.size), found = {};
    let at = 0;
    for (const [name, [rows, columns = 1]] of Object.entries(this.shapes)) found[name] = all.subarray(at, at += rows * columns);
    return [found, all];
  }
  // Embedding and head normal, recurrent matrices rotations, gate by gate, the others uniform (Glorot & Bengio 2010);
  // biases 0, and 1 where an LSTM forgets.
  initialise(uniforms, radius) {
    const { weights, hidden, cell } = this, block = hidden * hidden, within = Math.sqrt(3 / hidden);
    const { embedding, inputs, recurrent, inputBias, head } = weights;
    embedding.forEach((_, n) => embedding[n] = normal(uniforms));
    inputs.forEach((_, n) => inputs[n] = within * (2 * uniforms.next() - 1));
    for (let at = 0; at < recurrent.length; at += block) rotation(recurrent.subarray(at, at + block), hidden, radius, uniforms);
    if (cell.forget !== null) inputBias.fill(1, cell.forget * hidden, (cell.forget + 1) * hidden);
    head.forEach((_, n) => head[n] = 4 / Math.sqrt(hidden) * normal(uniforms));
  }
  // After the weights have moved: what each symbol gives the gates (V + 1, G).
  moved() {
    const { table, weights, symbols, gates, hidden } = this;
    for (let at = 0; at < table.length; at += gates) table.set(weights.inputBias, at);
    product(table, weights.embedding, weights.inputs, symbols + 1, gates, hidden);
  }
}

function normal(uniforms) { // Box & Muller 1958
  return Math.sqrt(-2 * Math.log(1 - uniforms.next())) * Math.cos(2 * Math.PI * uniforms.next());
}

// A random rotation (Saxe et al. 2014) times `radius`: normal rows, each made orthogonal to those before.
function rotation(matrix, size, radius, uniforms) {
  const rows = Array.from({ length: size }, (_, n) => matrix.subarray(n * size, (n + 1) * size));
  const dot = (a, b) => { let sum = 0; for (let k = 0; k < size; k++) sum += a[k] * b[k]; return sum; };
  rows.forEach((row, n) => {
    row.forEach((_, k) => row[k] = normal(uniforms));
    for (const other of rows.slice(0, n)) {
      const share = dot(row, other);
      for (let k = 0; k < size; k++) row[k] -= share * other[k];
    }
    const length = Math.sqrt(dot(row, row));
    row.forEach((one, k) => row[k] = one / length);
  });
  matrix.forEach((one, n) => matrix[n] = one * radius);
}

// A window of T steps and B rows: forwards from the state that it was left in, and backwards.
class Pass {
  constructor(network, steps, rows) {
    const { hidden, gates, symbols } = network, cells = rows * hidden, all = new Float64Array((steps + 1) * cells);
    Object.assign(this, { network, steps, rows, h: all, c: all.slice(), nats: new Float64Array(steps * rows) });
    this.given = new Float64Array(steps * rows * gates);
    this.own = this.given.slice();
    this.shares = new Float64Array(steps * rows * symbols);
    this.states = Array.from({ length: steps + 1 }, (_, t) => ({ h: this.h.subarray(t * cells, (t + 1) * cells), c: this.c.subarray(t * cells, (t + 1) * cells) }));
    this.at = part(steps, rows * gates, { given: this.given, own: this.own }).map((views, t) => ({ ...views, ...this.states[t + 1], before: this.states[t] }));
  }
  // The memory of a row, or of all, is that before any symbol.
  forget(row = null) {
    const { h, c } = this.states[0], { hidden } = this.network;
    for (const one of [h, c]) row === null ? one.fill(0) : one.fill(0, row * hidden, (row + 1) * hidden);
  }
  // The next window begins where this one ended.
  carry() {
    this.states[0].h.set(this.states[this.steps].h);
    this.states[0].c.set(this.states[this.steps].c);
  }
  // Symbols read (T, B) -> `shares`, which are logits (T, B, V) for now.
  read(ids) {
    const { network, rows, given, own, shares, h } = this, { gates, hidden, symbols, table, weights, cell } = network;
    const bias = weights.recurrentBias, cells = rows * hidden;
    ids.forEach((id, n) => given.set(table.subarray(id * gates, (id + 1) * gates), n * gates));
    for (let at = 0; at < own.length; at += gates) own.set(bias, at);
    for (const step of this.at) {
      product(step.own, step.before.h, weights.recurrent, rows, gates, hidden);
      cell.forward(step, hidden);
    }
    for (let at = 0; at < shares.length; at += symbols) shares.set(weights.bias, at);
    product(shares, h.subarray(cells), weights.head, ids.length, symbols, hidden);
  }
  // Logits -> the probabilities of all symbols; what the targets (T, B) cost goes to `nats`. The mean.
  cost(targets) {
    const { shares, nats, network: { symbols } } = this;
    let sum = 0;
    for (let n = 0, at = 0; n < targets.length; n++, at += symbols) {
      let most = -Infinity, all = 0;
      for (let j = at; j < at + symbols; j++) if (shares[j] > most) most = shares[j];
      const target = shares[at + targets[n]] - most;
      for (let j = at; j < at + symbols; j++) all += shares[j] = Math.exp(shares[j] - most);
      for (let j = at; j < at + symbols; j++) shares[j] /= all;
      sum += nats[n] = Math.log(all) - target;
    }
    return sum / targets.length;
  }
}

// Arrays of T parts of `size` numbers -> T records of views of them.
function part(steps, size, arrays) {
  const names = Object.keys(arrays);
  return Array.from({ length: steps }, (_, t) => Object.fromEntries(names.map(name => [name, arrays[name].subarray(t * size, (t + 1) * size)])));
}
