// Back-propagation through a window (Werbos 1990), how far a gradient reaches, clipping, and Adam. Shapes: network.js.

class Gradients {
  constructor(pass) {
    const { network, steps, rows } = pass, { hidden, gates, table } = network;
    [this.parts, this.all] = network.laid();
    this.dTable = new Float64Array(table.length);
    this.dh = new Float64Array(steps * rows * hidden);
    this.dGiven = new Float64Array(steps * rows * gates);
    // Only where the formula sets them apart has the state's product a gradient of its own.
    this.dOwn = network.cell === gru ? this.dGiven.slice() : this.dGiven;
    this.dc = new Float64Array(rows * hidden);
    this.through = new Float64Array(rows * hidden);
    const cells = part(steps, rows * hidden, { dh: this.dh }), shares = part(steps, rows * gates, { dGiven: this.dGiven, dOwn: this.dOwn });
    this.at = pass.at.map((step, t) => ({ ...step, ...cells[t], ...shares[t] }));
    this.pass = pass;
  }
  // After `read` and `cost`: the gradient of the mean of nats with respect to every weight, in `parts` and `all`.
  find(ids, targets) {
    const { pass, parts, dGiven, dOwn, dh } = this, { network, rows, shares: dLogits, h } = pass;
    const { hidden, gates, symbols, weights } = network, count = ids.length, cells = rows * hidden;
    this.all.fill(0);
    for (let n = 0; n < count; n++) dLogits[n * symbols + targets[n]] -= 1;
    for (let n = 0; n < dLogits.length; n++) dLogits[n] /= count;
    weightGradient(parts.head, dLogits, h.subarray(cells), count, symbols, hidden);
    addRows(parts.bias, dLogits);
    dh.fill(0);
    productBack(dh, dLogits, weights.head, count, symbols, hidden);
    this.backwards();
    weightGradient(parts.recurrent, dOwn, h, count, gates, hidden);
    addRows(parts.recurrentBias, dOwn);
    this.toSymbols(ids);
    return this.all;
  }
  // dh: what each step's output is owed from above (T, B, H) -> what it is owed in all, later steps included.
  backwards() {
    const { pass: { network, rows }, dc, through } = this, { hidden, gates, cell, weights } = network;
    dc.fill(0);
    through.fill(0);
    for (let t = this.at.length - 1; t >= 0; t--) {
      const step = this.at[t], { dh } = step;
      for (let n = 0; n < dh.length; n++) through[n] = dh[n] += through[n];
      cell.back(step, through, dc, hidden);
      productBack(through, step.dOwn, weights.recurrent, rows, gates, hidden);
    }
  }
  // Through the table of what symbols give the gates.
  toSymbols(ids) {
    const { pass: { network }, parts, dTable, dGiven } = this, { hidden, gates, symbols, weights } = network;
    dTable.fill(0);
    ids.forEach((id, n) => {
      for (let j = 0, to = id * gates, from = n * gates; j < gates; j++) dTable[to + j] += dGiven[from + j];
    });
    addRows(parts.inputBias, dTable);
    weightGradient(parts.inputs, dTable, weights.embedding, symbols + 1, gates, hidden);
    productBack(parts.embedding, dTable, weights.inputs, symbols + 1, gates, hidden);
  }
  // The norm of dL(t)/dh(t - k), k = 0 first, L the nats of the window's last symbols (B,), each row by itself: the
  // median over the rows (charrnn inspect gradients).
  reach(ids, targets) {
    const { pass, dh } = this, { network, rows, steps, shares } = pass, { hidden, symbols, weights } = network;
    pass.forget();
    pass.read(ids);
    pass.cost(targets);
    const first = (steps - 1) * rows, dLogits = shares.subarray(first * symbols);
    for (let b = 0; b < rows; b++) dLogits[b * symbols + targets[first + b]] -= 1;
    dh.fill(0);
    productBack(dh.subarray(first * hidden), dLogits, weights.head, rows, symbols, hidden);
    this.backwards();
    return this.at.map(step => median(Array.from({ length: rows }, (_, b) => norm(step.dh.subarray(b * hidden, (b + 1) * hidden))))).reverse();
  }
}

function norm(x) {
  let sum = 0;
  for (let n = 0; n < x.length; n++) sum += x[n] * x[n];
  return Math.sqrt(sum);
}
function median(numbers) {
  const sorted = numbers.sort((a, b) => a - b), half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
}

// Steps back in which a reach halves, by least squares on its logarithm from k = 1; null: it does not.
function halfLife(reach) {
  const points = reach.map((size, k) => [k, Math.log2(size)]).filter(([k, y]) => k && Number.isFinite(y));
  const mean = at => points.reduce((sum, point) => sum + point[at], 0) / points.length, [x, y] = [mean(0), mean(1)];
  const slope = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return points.length > 1 && slope < 0 ? -1 / slope : null;
}

// Clipping by norm (Pascanu et al. 2013); the norm before.
function clip(gradients, most) {
  const found = norm(gradients);
  if (found > most) for (let n = 0; n < gradients.length; n++) gradients[n] *= most / found;
  return found;
}

// Adam (Kingma & Ba 2015) with charrnn's constants, or plain descent.
class Optimizer {
  constructor(size) {
    Object.assign(this, { steps: 0, means: new Float64Array(size), squares: new Float64Array(size) });
  }
  adam(weights, gradients, rate) {
    const { means, squares } = this, [first, second, least] = [0.9, 0.99, 1e-8];
    this.steps++;
    const by = rate / (1 - first ** this.steps), whole = Math.sqrt(1 - second ** this.steps);
    for (let n = 0; n < weights.length; n++) {
      const gradient = gradients[n];
      means[n] += (1 - first) * (gradient - means[n]);
      squares[n] = second * squares[n] + (1 - second) * gradient * gradient;
      weights[n] -= by * means[n] / (Math.sqrt(squares[n]) / whole + least);
    }
  }
  sgd(weights, gradients, rate) {
    for (let n = 0; n < weights.length; n++) weights[n] -= rate * gradients[n];
  }
}
