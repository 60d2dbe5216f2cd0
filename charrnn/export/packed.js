// The arrays of the page: text in base 85, deflated, behind each other (export/packed.py).
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;/=>?@^_`{|}~";

function decoded(text, size) {
  const value = new Uint8Array(128), words = new DataView(new ArrayBuffer(text.length / 5 * 4));
  [...DIGITS].forEach((digit, n) => (value[digit.charCodeAt(0)] = n));
  for (let from = 0, to = 0; from < text.length; from += 5, to += 4) {
    let word = 0;
    for (let n = 0; n < 5; n++) word = word * 85 + value[text.charCodeAt(from + n)];
    words.setUint32(to, word);
  }
  return new Uint8Array(words.buffer, 0, size);
}

// -> what gives an array by its place, [type, first byte, bytes, whether first bytes stand before second ones].
async function unpacked(text, size) {
  const inflated = new Blob([decoded(text, size)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(inflated).arrayBuffer();
  const kinds = { Int8Array, Uint16Array, Int32Array, Uint32Array, BigUint64Array, Float32Array };
  return ([kind, first, length, apart]) => {
    const Kind = kinds[kind], width = Kind.BYTES_PER_ELEMENT, count = length / width;
    if (!apart) return new Kind(buffer.slice(first, first + length));
    const from = new Uint8Array(buffer, first, length), to = new Uint8Array(length);
    for (let byte = 0, at = 0; byte < width; byte++) for (let n = 0; n < count; n++) to[n * width + byte] = from[at++];
    return new Kind(to.buffer);
  };
}
