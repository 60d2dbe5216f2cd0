// Products of matrices (rows one behind the other, Float64Array) in plain loops, eight sums at a time.

// c (M, N) += a (M, K) b (K, N), where the rows and the columns of a and b stand so far apart: transposes need no copy.
function multiply(c, a, b, m, n, k, aRow, aColumn, bRow, bColumn) {
  const pairs = m - m % 2, fours = n - n % 4;
  for (let i = 0; i < pairs; i += 2) {
    const a0 = i * aRow, a1 = a0 + aRow;
    for (let j = 0; j < fours; j += 4) {
      const b0 = j * bColumn, b1 = b0 + bColumn, b2 = b1 + bColumn, b3 = b2 + bColumn;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      for (let l = 0, u = 0, v = 0; l < k; l++, u += aColumn, v += bRow) {
        const x0 = a[a0 + u], x1 = a[a1 + u], y0 = b[b0 + v], y1 = b[b1 + v], y2 = b[b2 + v], y3 = b[b3 + v];
        s00 += x0 * y0; s01 += x0 * y1; s02 += x0 * y2; s03 += x0 * y3;
        s10 += x1 * y0; s11 += x1 * y1; s12 += x1 * y2; s13 += x1 * y3;
      }
      const at = i * n + j;
      c[at] += s00; c[at + 1] += s01; c[at + 2] += s02; c[at + 3] += s03;
      c[at + n] += s10; c[at + n + 1] += s11; c[at + n + 2] += s12; c[at + n + 3] += s13;
    }
  }
  // What is left at the right and below.
  for (let i = 0; i < m; i++)
    for (let j = i < pairs ? fours : 0; j < n; j++) {
      let sum = 0;
      for (let l = 0, u = i * aRow, v = j * bColumn; l < k; l++, u += aColumn, v += bRow) sum += a[u] * b[v];
      c[i * n + j] += sum;
    }
}

// The three that a layer of weights w (N, K) needs: y (M, N) += x w^T; dx (M, K) += dy w; dw (N, K) += dy^T x.
const product = (y, x, w, m, n, k) => multiply(y, x, w, m, n, k, k, 1, 1, k);
const productBack = (dx, dy, w, m, n, k) => multiply(dx, dy, w, m, k, n, n, 1, k, 1);
const weightGradient = (dw, dy, x, m, n, k) => multiply(dw, dy, x, n, k, m, 1, n, k, 1);

// sums (N,) += the rows of x (M, N).
function addRows(sums, x) {
  const n = sums.length;
  for (let at = 0; at < x.length; at += n) for (let j = 0; j < n; j++) sums[j] += x[at + j];
}
