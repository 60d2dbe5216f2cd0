// The draw of a symbol as charrnn draws it (generation/drawing.py, generation/processors): the same uniforms, e^x by a
// table that is the same everywhere. V symbols.

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
