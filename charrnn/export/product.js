// The product of 8-bit weights (N, K) and whole numbers (K,), times a scale for each output: exact, whoever computes it.
// WebAssembly multiplies eight at a time; without it, plain loops give the same.
const TILE = 32; // outputs that are added up at once, four to a vector

// The instructions, byte for byte: for each tile, for each two inputs, load8x8_s of the weights, dot_i16x8_s, add.
function assembled() {
  const size = number => number < 128 ? [number] : [number & 127 | 128, ...size(number >> 7)];
  const counted = bytes => [...size(bytes.length), ...bytes], section = (id, bytes) => [id, ...counted(bytes)];
  const [W, X, S, Y, BLOCKS, BYTES, AT, END, PAIR, SUMS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], SIMD = 0xfd;
  const get = local => [0x20, local], set = local => [0x21, local], whole = number => [0x41, number];
  const further = (local, by) => [...get(local), 0x41, ...signed(by), 0x6a, ...set(local)];
  const signed = number => number < 64 ? [number] : [number & 127 | 128, number >> 7];
  const each = write => Array.from({ length: TILE / 4 }, (_, v) => write(v)).flat();
  const nothing = [SIMD, 0x0c, ...new Array(16).fill(0)];
  const code = [
    0x03, 0x40,
    ...each(v => [...nothing, ...set(SUMS + v)]),
    ...get(X), ...set(AT), ...get(X), ...get(BYTES), 0x6a, ...set(END),
    0x03, 0x40,
    ...get(AT), SIMD, 0x09, 2, 0, ...set(PAIR),
    ...each(v => [
      ...get(SUMS + v), ...get(W), SIMD, 0x01, 3, 8 * v, ...get(PAIR), SIMD, 0xba, 0x01, SIMD, 0xae, 0x01, ...set(SUMS + v),
    ]),
    ...further(W, 2 * TILE), ...further(AT, 4), ...get(AT), ...get(END), 0x49, 0x0d, 0, 0x0b,
    ...each(v => [
      ...get(Y), ...get(SUMS + v), SIMD, 0xfa, 0x01, ...get(S), SIMD, 0x00, 4, ...size(16 * v), SIMD, 0xe6, 0x01,
      SIMD, 0x0b, 4, ...size(16 * v),
    ]),
    ...further(S, 4 * TILE), ...further(Y, 4 * TILE),
    ...get(BLOCKS), ...whole(1), 0x6b, 0x22, BLOCKS, 0x0d, 0, 0x0b, 0x0b,
  ];
  const locals = [2, 2, 0x7f, 1 + TILE / 4, 0x7b], name = text => counted([...text].map(one => one.charCodeAt(0)));
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, ...name("e"), ...name("m"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("p"), 0, 0]),
    ...section(10, [1, ...counted([...locals, ...code])]),
  ]);
}

// The program, and `memory` that it works in; null where the browser has none of it.
const program = (() => {
  try { return new WebAssembly.Module(assembled()); } catch { return null; }
})();

class Product {
  // weight Int8Array (N, K), scale Float32Array (N,); `plain`: without WebAssembly.
  constructor(weight, scale, plain) {
    this.inputs = weight.length / scale.length;
    this.outputs = scale.length;
    if (plain || !program) {
      Object.assign(this, { weight, scale, x: new Int16Array(this.inputs), y: new Float32Array(this.outputs) });
      this.run = this.plainly;
      return;
    }
    const pairs = Math.ceil(this.inputs / 2), blocks = Math.ceil(this.outputs / TILE), room = blocks * TILE;
    const [x, s, y] = [2 * pairs * room, 2 * pairs * room + 16 * Math.ceil(pairs / 4)].flatMap((at, n) => n ? [at, at + 4 * room] : [at]);
    const memory = new WebAssembly.Memory({ initial: Math.ceil((y + 4 * room) / 65536) });
    const laid = new Int8Array(memory.buffer, 0, 2 * pairs * room);
    for (let n = 0, at = 0; n < this.outputs; n++)
      for (let k = 0; k < this.inputs; k++, at++)
        laid[(((n / TILE | 0) * pairs + (k >> 1)) * TILE + n % TILE) * 2 + (k & 1)] = weight[at];
    new Float32Array(memory.buffer, s, this.outputs).set(scale);
    this.x = new Int16Array(memory.buffer, x, this.inputs);
    this.y = new Float32Array(memory.buffer, y, this.outputs);
    const { p } = new WebAssembly.Instance(program, { e: { m: memory } }).exports;
    this.run = () => p(0, x, s, y, blocks, 4 * pairs);
  }
  // x -> y
  plainly() {
    const { weight, scale, x, y, inputs, outputs } = this;
    for (let n = 0, at = 0; n < outputs; n++) {
      let sum = 0;
      for (let k = 0; k < inputs; k++, at++) sum += weight[at] * x[k];
      y[n] = sum * scale[n];
    }
  }
}
