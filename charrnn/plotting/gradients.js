// Norms of gradients over steps back, network by network, at one step of training; beside them half-lives over all steps.
const byId = id => document.getElementById(id), networks = data.networks;
const steps = [...new Set(networks.flatMap(({ frames }) => frames.map(({ step }) => step)))].sort((a, b) => a - b);
const layers = Math.max(...networks.map(({ frames }) => frames[0].layers.length));
const DASHES = ["", "8 4", "2 3", "10 3 2 3", "5 2", "1 3"], COLOURS = 6;
const WIDTH = 520, HEIGHT = 300, LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 34;
const still = matchMedia("(prefers-reduced-motion: reduce)");
let at = steps.length - 1, k = 1, playing = 0;

// The network as it was behind this step, or at its first before that.
const frame = ({ frames }, step) => frames.findLast(one => one.step <= step) ?? frames[0];
const NAMES = document.createRange().createContextualFragment("<svg>").firstChild.namespaceURI;
const drawn = (tag, attributes, words) => {
  const element = document.createElementNS(NAMES, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  return element;
};
const path = points => points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const ink = number => `var(--c${number % COLOURS})`, dash = number => DASHES[Math.floor(number / COLOURS + number) % DASHES.length];
const place = (value, low, high, start, end) => start + (value - low) / (high - low || 1) * (end - start);
const figure = norm => norm === null ? "–" : norm.toExponential(1).replace("-", "−");

// ---- one panel: its frame, and what is drawn anew

class Panel {
  constructor(title, across, { low, high, last, first = 0, logarithmic }) {
    Object.assign(this, { low, high, last, first, logarithmic });
    const box = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.textContent = title;
    this.svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "img", "aria-label": `${title}, over ${across}` });
    const ticks = logarithmic ? Math.max(1, Math.ceil((high - low) / 6)) : this.round((high - low) / 5);
    for (let y = Math.ceil(low / ticks) * ticks; y <= high + 1e-9; y += ticks) {
      this.svg.append(drawn("path", { class: "rule", d: `M${LEFT} ${this.y(y)}H${WIDTH - RIGHT}` }));
      this.svg.append(drawn("text", { x: LEFT - 6, y: this.y(y) + 4, "text-anchor": "end" }, logarithmic ? `1e${y}`.replace("-", "−") : +y.toPrecision(3)));
    }
    const apart = this.round((last - first) / 6);
    for (let x = Math.ceil(first / apart) * apart; x <= last; x += apart)
      this.svg.append(drawn("text", { x: this.x(x), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, x.toLocaleString("en")));
    this.svg.append(drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, across));
    this.svg.append(drawn("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}` }));
    this.ground = drawn("g", {});
    this.svg.append(this.ground);
    box.append(caption, this.svg);
    byId("panels").append(box);
    this.svg.addEventListener("pointermove", event => this.point(event));
    this.svg.addEventListener("pointerdown", event => this.point(event));
    this.svg.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (by) { event.preventDefault(); this.go(by); }
    });
  }
  // 1, 2 or 5 times a power of ten, whole where it is of steps.
  round(rough) {
    const power = 10 ** Math.floor(Math.log10(rough || 1)), found = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough - 1e-12);
    return this.last > 10 && rough > 0.5 ? Math.max(1, found) : found;
  }
  x(value) { return place(value, this.first, this.last, LEFT, WIDTH - RIGHT); }
  y(value) { return place(value, this.low, this.high, HEIGHT - BOTTOM, TOP); }
  point(event) {
    const box = this.svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * WIDTH;
    this.chosen(place(x, LEFT, WIDTH - RIGHT, this.first, this.last));
  }
  line(points, number, kind = "line") {
    this.ground.append(drawn("path", { class: kind, d: path(points.map(([x, y]) => [this.x(x), this.y(y)])), stroke: ink(number), ...(kind === "line" && { "stroke-dasharray": dash(number) }) }));
  }
  mark(value) { this.ground.append(drawn("path", { class: "at", d: `M${this.x(value)} ${TOP}V${HEIGHT - BOTTOM}` })); }
}

const logs = norms => norms.flatMap((norm, x) => norm === null ? [] : [[x, Math.log10(norm)]]);
const reach = Math.max(...networks.flatMap(({ frames }) => frames.map(one => one.layers[0].median.length))) - 1;
// The same scale for all steps, so that what moves is the network: from the least median on.
const levels = networks.flatMap(({ frames }) => frames.flatMap(one => one.layers.flatMap(({ median }) => logs(median).map(([, y]) => y))));
const bounds = { low: Math.floor(Math.min(0, ...levels)), high: Math.ceil(Math.max(-1, ...levels)), first: 0, last: reach, logarithmic: true };

const panels = Array.from({ length: layers }, (_, layer) => {
  const panel = new Panel(layers > 1 ? `Layer ${layer + 1}` : "Its gradients", "steps back, k", bounds);
  panel.chosen = value => { k = Math.min(reach, Math.max(0, Math.round(value))); show(); };
  panel.go = by => panel.chosen(k + by);
  panel.draw = () => {
    panel.ground.replaceChildren();
    networks.forEach((network, number) => {
      const own = frame(network, steps[at]).layers[layer], begun = network.frames[0].layers[layer];
      if (!own) return;
      const clipped = norms => logs(norms).map(([x, y]) => [panel.x(x), panel.y(Math.min(bounds.high, Math.max(bounds.low, y)))]);
      const low = clipped(own.low), high = clipped(own.high);
      if (low.length && high.length) panel.ground.append(drawn("path", { class: "band", fill: ink(number), d: `${path([...high, ...low.reverse()])}Z` }));
      if (network.frames.length > 1) panel.line(logs(begun.median), number, "begun");
      panel.line(logs(own.median), number);
    });
    panel.mark(k);
  };
  return panel;
});

// Half-lives over the steps of training, where there are several; what does not fall has none.
if (steps.length > 1) {
  const all = networks.flatMap(({ frames }) => frames.flatMap(one => one.layers.map(({ half }) => half ?? 0)));
  const course = new Panel("Steps in which a gradient halves", "steps of training", { low: 0, high: Math.max(...all, 1) * 1.05, first: steps[0], last: steps.at(-1), logarithmic: false });
  course.chosen = value => go(steps.reduce((best, step, n) => Math.abs(step - value) < Math.abs(steps[best] - value) ? n : best, 0));
  course.go = by => go(at + Math.sign(by));
  course.draw = () => {
    course.ground.replaceChildren();
    networks.forEach(({ frames }, number) => frames[0].layers.forEach((_, layer) => {
      const known = frames.flatMap(({ step, layers: { [layer]: own } }) => own.half === null ? [] : [[step, own.half]]);
      if (frames.length > 1) course.line(known, number);
      for (const [x, y] of known.slice(-1))
        course.ground.append(drawn("text", { x: course.x(x) - 4, y: course.y(y) + (layer % 2 ? 14 : -5), "text-anchor": "end" }, layers > 1 ? `layer ${layer + 1}` : ""));
    }));
    course.mark(steps[at]);
  };
  panels.push(course);
}

// ---- the table, and what is set

const rows = networks.flatMap((network, number) => network.frames[0].layers.map((_, layer) => ({ network, number, layer })));
function show() {
  for (const panel of panels) panel.draw();
  const head = document.createElement("tr");
  for (const words of ["", "step", "halves in", `median at k = ${k}`, "10%", "90%"]) head.append(Object.assign(document.createElement("th"), { textContent: words, scope: "col" }));
  document.querySelector("thead").replaceChildren(head);
  document.querySelector("tbody").replaceChildren(...rows.map(({ network, number, layer }) => {
    const { step, layers: { [layer]: own } } = frame(network, steps[at]), row = document.createElement("tr"), name = document.createElement("th");
    name.scope = "row";
    const key = drawn("svg", { class: "key", viewBox: "0 0 38 10", "aria-hidden": true });
    key.append(drawn("path", { class: "line", d: "M0 5H38", stroke: ink(number), "stroke-dasharray": dash(number) }));
    name.append(key, `${network.name}${layers > 1 ? `, layer ${layer + 1}` : ""}`);
    const cells = [step.toLocaleString("en"), own.half === null ? "never" : `${own.half.toFixed(1)} steps`, figure(own.median[k] ?? null), figure(own.low[k] ?? null), figure(own.high[k] ?? null)];
    row.append(name, ...cells.map(words => Object.assign(document.createElement("td"), { textContent: words })));
    return row;
  }));
  byId("step").value = at;
  byId("step").setAttribute("aria-valuetext", `step ${steps[at]}`);
  document.querySelector("output").textContent = `${steps[at].toLocaleString("en")} of ${steps.at(-1).toLocaleString("en")}`;
}
function go(to) {
  at = Math.min(steps.length - 1, Math.max(0, to));
  show();
}
function stop() {
  clearInterval(playing);
  playing = 0;
  byId("play").textContent = "Play";
}
byId("step").max = steps.length - 1;
byId("step").addEventListener("input", event => { stop(); go(+event.target.value); });
byId("play").addEventListener("click", () => {
  if (playing) return stop();
  if (at === steps.length - 1) go(0);
  byId("play").textContent = "Pause";
  playing = setInterval(() => at < steps.length - 1 ? go(at + 1) : stop(), still.matches ? 1500 : Math.min(600, 8000 / steps.length));
});
byId("course").addEventListener("submit", event => event.preventDefault());
byId("course").hidden = steps.length < 2;
document.querySelector("h1").textContent = `${data.title}: ${networks.map(({ name }) => name).join(", ")}`;
byId("notes").replaceChildren(...new Set(networks.map(({ note }) => note).filter(Boolean)));
if (steps.length < 2 && networks.some(({ frames }) => frames[0].step)) byId("notes").append("Train with --keep-every N, and this page has a slider over the steps of training.");
show();
