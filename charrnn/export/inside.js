// What goes on inside: the units of a layer over the last characters, and one step of one unit by its formula.
const ROWS = 44, strip = byId("strip"), figures = x => (x < 0 ? "−" : "") + Math.abs(x).toFixed(2);

// Colours of the page (r, g, b) as they are now.
function colour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

// rows: the last states of a layer, Int8Array (H,) each in levels of 1/127 -> a picture, the picked unit in a frame.
function drawStrip(rows, size, picked) {
  const shown = rows.slice(-ROWS), [paper, plus, minus] = ["--paper", "--plus", "--minus"].map(colour);
  strip.width = size;
  strip.height = ROWS;
  const context = strip.getContext("2d"), image = context.createImageData(size, ROWS);
  shown.forEach((row, number) => {
    for (let j = 0; j < size; j++) {
      const at = 4 * ((ROWS - shown.length + number) * size + j), share = Math.abs(row[j]) / 127, ink = row[j] < 0 ? minus : plus;
      for (let n = 0; n < 3; n++) image.data[at + n] = paper[n] + share * (ink[n] - paper[n]);
      image.data[at + 3] = 255;
    }
  });
  context.putImageData(image, 0, 0);
  const mark = byId("mark");
  mark.hidden = picked === null;
  mark.style.left = `${100 * picked / size}%`;
  mark.style.width = `${100 / size}%`;
}

// The lines of one step of unit j, in words of its formula and in its numbers.
const formulas = {
  lstm(layer, j) {
    const { given: x, recurrent: r, gates, before, c, h, hidden: size } = layer;
    const gate = (name, n, f) => `${name} = ${f}(x + r) = ${f}(${figures(x[n])} + ${figures(r[n])}) = ${figures(gates[n])}`;
    const [i, f, g, o] = [0, 1, 2, 3].map(n => figures(gates[n * size + j]));
    return [
      gate("i", j, "σ") + "   input gate: how much is taken in",
      gate("f", size + j, "σ") + "   forget gate: how much is kept",
      gate("g", 2 * size + j, "tanh") + "   candidate: what is taken in",
      gate("o", 3 * size + j, "σ") + "   output gate: how much is shown",
      `c = f c′ + i g = ${f} · ${figures(before[j])} + ${i} · ${g} = ${figures(c[j])}   memory`,
      `h = o tanh(c) = ${o} · ${figures(TANH.at(c[j]))} = ${figures(h[j])}   output`,
    ];
  },
  gru(layer, j) {
    const { given: x, recurrent: y, own, gates, before, h, hidden: size } = layer, r = n => y[n] + own[n];
    const gate = (name, n) => `${name} = σ(x + r) = σ(${figures(x[n])} + ${figures(r(n))}) = ${figures(gates[n])}`;
    const [reset, kept, n] = [0, 1, 2].map(part => figures(gates[part * size + j])), at = 2 * size + j;
    return [
      gate("reset", j) + "   how much of the past the candidate sees",
      gate("z", size + j) + "   how much stays as it was",
      `n = tanh(x + reset r) = tanh(${figures(x[at])} + ${reset} · ${figures(r(at))}) = ${n}   candidate`,
      `h = n + z (h′ − n) = ${n} + ${kept} · (${figures(before[j])} − ${n}) = ${figures(h[j])}   output`,
    ];
  },
  rnn({ given: x, recurrent: r, h }, j) {
    return [`h = tanh(x + r) = tanh(${figures(x[j])} + ${figures(r[j])}) = ${figures(h[j])}   output`];
  },
};

// With the line that one has come to; those behind it are pale.
function showFormula(layer, unit, line) {
  byId("formula").replaceChildren(...formulas[layer.cell](layer, unit).map((words, number) => {
    const item = document.createElement("li");
    item.textContent = words;
    item.className = number === line ? "at" : number > line ? "later" : "";
    return item;
  }));
}

// The likeliest next characters: what the model holds of each, and what temperature and filters make of it.
function showBars(logits, settings, named) {
  const normal = share => { const sum = share.reduce((all, one) => all + one, 0); return share.map(one => one / sum); };
  const own = normal(shares(logits, {})), now = normal(shares(logits, settings)), percent = p => `${(100 * p).toFixed(1)}%`;
  const order = [...own.keys()].sort((a, b) => own[b] - own[a]).slice(0, 12), bars = byId("bars");
  const most = order.reduce((found, id) => Math.max(found, own[id], now[id]), 0);
  while (bars.children.length < order.length) {
    const row = document.createElement("li");
    row.innerHTML = '<b></b><span class="rail"><s class="own"></s><s class="now"></s></span><span></span>';
    bars.append(row);
  }
  order.forEach((id, number) => {
    const row = bars.children[number], [name, rail, share] = row.children;
    name.textContent = named(id);
    rail.children[0].style.width = `max(2px, ${percent(own[id] / most)})`;
    rail.children[1].style.width = percent(now[id] / most);
    share.textContent = percent(now[id]);
    row.className = now[id] ? "" : "dropped";
    row.title = `the model itself: ${percent(own[id])}`;
  });
}
