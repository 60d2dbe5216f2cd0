// Counts beside the network, as models/counts has them: where a text is in the tables, what each expert holds likely
// there, and the mixture, whose weights a gate chooses. Single operations of float32 in the same order, sums in 16 lanes.
// V symbols, K experts with the networks, F features, H units of the gate.
const LANES = 16, HASH_BASE = 0x9e3779b97f4a7c15n, HASH_MULTIPLIER = 0xd6e8feb86659fd93n, U64 = 0xffffffffffffffffn;
const OF_EXP = [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(f32);
const OF_LOG = [
  7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
  -2.4999993993e-1, 3.3333331174e-1,
].map(f32);
const LOG2_E = f32(1.44269504), LN2_HIGH = f32(0.693359375), LN2_LOW = f32(-2.12194440e-4), SQRT_HALF = f32(0.70710678), LEAST = f32(1e-30);
const number32 = new Float32Array(1), bits32 = new Int32Array(number32.buffer);

// ---- e^x, ln x, tanh, sums (functions.py)

function exp32(x) {
  x = x > -87 ? x : -87;
  const octaves = Math.floor(f32(f32(x * LOG2_E) + 0.5));
  x = f32(x - f32(octaves * LN2_HIGH));
  x = f32(x - f32(octaves * LN2_LOW));
  let y = OF_EXP[0];
  for (let n = 1; n < 6; n++) y = f32(f32(y * x) + OF_EXP[n]);
  y = f32(f32(f32(y * f32(x * x)) + x) + 1);
  bits32[0] = octaves + 127 << 23;
  return f32(y * number32[0]);
}
function log32(x) {
  number32[0] = x > LEAST ? x : LEAST;
  let octaves = (bits32[0] >> 23) - 126;
  bits32[0] = bits32[0] & 0x7fffff | 0x3f000000;
  const mantissa = number32[0], small = mantissa < SQRT_HALF;
  octaves -= small;
  x = f32(f32(mantissa + (small ? mantissa : 0)) - 1);
  const square = f32(x * x);
  let y = OF_LOG[0];
  for (let n = 1; n < 9; n++) y = f32(f32(y * x) + OF_LOG[n]);
  y = f32(f32(y * x) * square);
  y = f32(y + f32(octaves * LN2_LOW));
  y = f32(y - f32(0.5 * square));
  return f32(f32(x + y) + f32(octaves * LN2_HIGH));
}
function tanh32(x) {
  const small = exp32(f32(Math.abs(x) * -2)), y = f32(f32(1 - small) / f32(1 + small));
  return x < 0 || Object.is(x, -0) ? -y : y;
}
// The sum of x, or of x y, whose numbers beyond the symbols are zeros up to whole lanes.
function sum32(x, y) {
  const lanes = new Float32Array(LANES);
  for (let j = 0; j < x.length; j++) lanes[j % LANES] += y ? f32(x[j] * y[j]) : x[j];
  for (let width = LANES / 2; width >= 1; width /= 2) for (let n = 0; n < width; n++) lanes[n] += lanes[n + width];
  return lanes[0];
}
function largest32(x, size) {
  let most = x[0];
  for (let j = 1; j < size; j++) if (x[j] > most) most = x[j];
  return most;
}

// The place of what is wanted in sorted numbers between two places, from 1; 0 where it is not there.
function placed(sorted, wanted, low, end) {
  for (let high = end; low < high;) {
    const middle = low + high >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low < end && sorted[low] === wanted ? low + 1 : 0;
}

class Level {
  constructor(record, array) {
    const lengths = array(record.lengths);
    this.firsts = new Uint32Array(lengths.length + 1);
    for (let n = 0; n < lengths.length; n++) this.firsts[n + 1] = this.firsts[n] + lengths[n];
    for (const name of ["symbols", "shares", "rests"]) this[name] = array(record[name]);
  }
  // The place of a context, from 0, followed by an id, from 1; 0 where there is no such gram.
  longer(context, id) {
    return context < 0 ? 0 : placed(this.symbols, id, this.firsts[context], this.firsts[context + 1]);
  }
  // Probabilities of what is fallen back to become those behind a context.
  climb(p, context) {
    const { firsts, symbols, shares, rests } = this, rest = rests[context];
    for (let j = 0; j < p.length; j++) p[j] *= rest;
    for (let gram = firsts[context]; gram < firsts[context + 1]; gram++) p[symbols[gram]] += shares[gram];
  }
}

class Counts {
  constructor(record, array, symbols) {
    const levels = record.levels.map(level => new Level(level, array)), size = Math.ceil(record.ids / LANES) * LANES;
    const rows = count => Array.from({ length: count }, () => new Float32Array(size));
    this.ids = record.ids;
    this.symbols = symbols;
    this.base = array(record.base);
    this.letters = record.letters && array(record.letters);
    this.grams = record.grams.map(n => levels[n]);
    this.words = record.words.map(array);
    this.experts = record.experts.map(({ contexts, levels: own }) => ({ contexts, levels: own.map(n => levels[n]) }));
    this.gate = Object.fromEntries(Object.entries(record.gate).map(([name, place]) => [name, array(place)]));
    this.networks = this.gate.constants.length - this.experts.length;
    this.p = rows(this.gate.constants.length);
    this.logs = rows(this.gate.constants.length);
    this.contexts = new Int32Array(this.grams.length + this.words.length);
    this.scrambled = new Map();
  }
  begin() {
    this.places = new Int32Array(this.grams.length);
    Object.assign(this, { soFar: 0n, alike: 0n, before: [0n, 0n], begun: false, inWord: false, cut: false });
  }
  // One more token, and what each network holds likely behind it, logits (V,) -> `mixed` (V,), by all.
  read(id, networks, mixed) {
    this.goOn(id);
    networks.forEach((logits, n) => this.own(logits, this.p[n], this.logs[n]));
    this.experts.forEach((expert, n) => this.likely(expert, this.p[networks.length + n], this.logs[networks.length + n]));
    const weights = this.open(), { logs } = this;
    for (let j = 0; j < this.symbols; j++) {
      let sum = f32(weights[0] * logs[0][j]);
      for (let k = 1; k < weights.length; k++) sum = f32(sum + f32(weights[k] * logs[k][j]));
      mixed[j] = sum;
    }
  }
  goOn(id) {
    const { grams, places, contexts } = this;
    for (let n = grams.length - 1; n >= 0; n--) places[n] = grams[n].longer(n ? places[n - 1] - 1 : 0, id);
    contexts.set(places);
    if (this.letters) this.goOnWithWords(id);
  }
  // A text is taken for runs of letters and runs of what stands between them (words.py).
  goOnWithWords(id) {
    const letter = id < this.ids - 1 ? this.letters[id] : -1, inWord = letter >= 0;
    if (!this.begun) this.cut = id !== this.ids - 1;
    else if (inWord !== this.inWord) {
      if (this.inWord) this.before = [this.alike, this.before[0]];
      this.soFar = this.alike = 0n;
      this.cut = false;
    }
    this.soFar = this.cut ? 0n : this.soFar * HASH_BASE + this.hashed(id) & U64;
    this.alike = this.cut ? 0n : this.alike * HASH_BASE + this.hashed(inWord ? letter : id) & U64;
    Object.assign(this, { begun: true, inWord });
    let hash = this.soFar;
    this.words.forEach((hashes, before) => {
      if (before) hash = hash * HASH_MULTIPLIER + this.before[before - 1] & U64;
      const known = !this.cut && (!before || this.before[before - 1] !== 0n);
      this.contexts[this.grams.length + before] = known ? placed(hashes, hash, 0, hashes.length) : 0;
    });
  }
  // What an id counts in a hash.
  hashed(id) {
    let found = this.scrambled.get(id);
    if (found === undefined) {
      found = (BigInt(id) + 1n) * HASH_BASE & U64;
      found = (found ^ found >> 32n) * HASH_MULTIPLIER & U64;
      this.scrambled.set(id, found ^= found >> 29n);
    }
    return found;
  }
  // A network's logits -> its probabilities and log-probabilities.
  own(logits, p, logs) {
    const { symbols } = this, most = largest32(logits, symbols);
    for (let j = 0; j < symbols; j++) p[j] = exp32(logs[j] = logits[j] - most);
    const total = sum32(p), logTotal = log32(total);
    for (let j = 0; j < symbols; j++) {
      p[j] /= total;
      logs[j] -= logTotal;
    }
  }
  likely({ contexts, levels }, p, logs) {
    p.fill(0);
    p.set(this.base);
    levels.forEach((level, n) => {
      const context = this.contexts[contexts[n]] - 1;
      if (context >= 0) level.climb(p, context);
    });
    p.fill(0, this.symbols);
    for (let j = 0; j < this.symbols; j++) logs[j] = log32(p[j]);
  }
  // What can be seen of the experts (F,) -> their weights (K,).
  open() {
    const { p, logs, gate, symbols } = this, experts = p.length, units = gate.bias.length, seen = new Float32Array(3 * experts - 1);
    for (let k = 0; k < experts; k++) {
      seen[k] = -sum32(p[k], logs[k]);
      seen[experts + k] = largest32(logs[k], symbols);
      if (k) seen[2 * experts + k - 1] = -sum32(p[k], logs[0]) - seen[k];
    }
    const hidden = Float32Array.from(gate.bias), weights = Float32Array.from(gate.constants);
    seen.forEach((one, f) => {
      const given = f32(f32(one - gate.mean[f]) / gate.scale[f]);
      for (let h = 0; h < units; h++) hidden[h] += f32(given * gate.inward[f * units + h]);
    });
    hidden.forEach((one, h) => {
      const open = tanh32(one);
      for (let k = 0; k < experts; k++) weights[k] += f32(open * gate.outward[h * experts + k]);
    });
    return weights;
  }
}
