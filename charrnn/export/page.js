// The page: what is set, the text as it grows, and all that follows it.
const record = JSON.parse(byId("model").textContent), letters = new Letters(record.tokenizer);
const SPEEDS = [4, 10, 25, 60, 150, 500, Infinity], CLASSES = "abcdefgh", TOP = 5;
const link = new Link(["prompt", "temperature", "topK", "topP", "minP", "seed", "length", "speed"]);
// What gives the arrays of the page, the model that is made of them, and its layers: see `open`.
let array, model, layers;
// The text under way, the places written, how many are wanted, and whether it goes on by itself.
let writing = null, places = [], wanted = 0, running = false, last = 0, picked = null, line = 0, pending = 0;
// Whether the next frame goes on.
let underWay = false;
// Characters written, and the bits that they cost.
let count = 0, spent = 0;

const sign = id => signs[letters.named(id)] || letters.named(id);
function settings() {
  return {
    temperature: number("temperature"), topK: number("topK"), topP: number("topP") < 1 ? number("topP") : 0, minP: number("minP"),
    seed: whole("seed", 0, 4294967295), length: whole("length", 1, 20000),
  };
}

// ---- writing

// From the prompt on, as many characters as were there before, at once.
function begin(far) {
  const { ids, unknown } = letters.encode(byId("prompt").value), problem = byId("problem");
  problem.hidden = !unknown.length;
  problem.textContent = `The model does not know ${[...new Set(unknown)].map(one => `“${one}”`).join(" ")}, and reads on without.`;
  writing = new Writing(model, ids, settings());
  places = [];
  wanted = far;
  const front = document.createElement("b");
  front.textContent = byId("prompt").value;
  hide();
  chosen = null;
  text.replaceChildren(front);
  pending = count = spent = 0;
}

// The ids of the TOP largest, the first of equals before the others.
function likeliest(own) {
  const found = [];
  own.forEach((one, id) => {
    if (found.length === TOP && !(one > own[found[TOP - 1]])) return;
    let at = found.length;
    while (at && one > own[found[at - 1]]) at--;
    found.splice(at, 0, id);
    found.length = Math.min(found.length, TOP);
  });
  return found;
}

// One token: what it cost, what else could have come, and the units behind it.
function write() {
  const own = shares(model.logits, {}), sum = own.reduce((all, one) => all + one, 0), { token, text: letter, ends } = writing.next();
  const bits = -Math.log2(own[token] / sum), top = likeliest(own).map(id => `${sign(id)} ${+(100 * own[id] / sum).toPrecision(2)}%`).join(", ");
  const rank = own.reduce((before, one, id) => before + (one > own[token] || one === own[token] && id < token), 1);
  const before = places.at(-1), begun = before && !before.letter && !before.ends ? before : null;
  if (begun) places.pop();
  count += [...letter].length;
  spent += bits;
  places.push({
    letter, ends, bits: bits + (begun ? begun.bits : 0), known: begun ? "" : `, rank ${rank}; ${top}`,
    units: layers.map(({ layer }) => Int8Array.from(layer.product.x)),
  });
}

function paint(span, place) {
  const ends = !place.letter, mark = place.letter.startsWith("\n") ? " n" : ends ? " z" : "";
  const value = picked === null ? 0 : place.units[layerNumber()][picked] / 127;
  span.className = (picked === null ? CLASSES[record.steps.filter(step => step <= place.bits).length] : value > 0.5 ? "up" : value < -0.5 ? "down" : "a") + mark;
  const ink = `color-mix(in srgb, var(--${value < 0 ? "minus" : "plus"}) ${Math.round(70 * Math.abs(value))}%, transparent)`;
  span.style.background = picked === null ? "" : ink;
  return span;
}

// The places that are not on the page yet.
function grow() {
  const more = document.createDocumentFragment();
  for (; pending < places.length; pending++) {
    const place = places[pending];
    if (!place.letter && !place.ends) break; // half a character
    const span = document.createElement("i");
    span.textContent = place.letter;
    span.title = `${place.bits.toFixed(2)} bits${place.known}`;
    more.append(paint(span, place));
  }
  text.append(more);
}

function frame(now) {
  const speed = still.matches ? Infinity : SPEEDS[number("speed")];
  if (running && speed === Infinity) wanted = Infinity;
  else if (running) wanted = Math.min(Math.max(wanted, places.length), places.length + 60) + speed * Math.min(0.1, Math.max(0, now - last) / 1000);
  last = now;
  const until = performance.now() + 12;
  while (!writing.done && places.length + 1 <= wanted && performance.now() < until) write();
  const rest = !writing.done && places.length + 1 <= wanted;
  if (writing.done) running = false;
  update();
  underWay = running || rest;
  if (underWay) requestAnimationFrame(frame);
  else tell();
}
function go() {
  if (underWay) return;
  underWay = true;
  last = performance.now();
  requestAnimationFrame(frame);
}

// ---- what follows

const layerNumber = () => number("layer");
function update() {
  grow();
  const set = settings(), { layer } = layers[layerNumber()];
  showBars(model.logits, set, sign);
  drawStrip(places.slice(-ROWS).map(({ units }) => units[layerNumber()]), layer.hidden, picked);
  byId("value").textContent = picked === null ? "" : `unit ${picked}: ${figures(layer.h[picked])}`;
  if (byId("gates").open) showFormula(layer, picked ?? 0, line);
  byId("write").textContent = running ? "Pause" : places.length && !writing.done ? "Go on" : "Write";
  byId("status").textContent = count ? `${count.toLocaleString("en")} of ${set.length.toLocaleString("en")} characters, ${(spent / count).toFixed(2)} bits each` : "";
}
function tell() {
  if (writing.done) said.textContent = `Written: ${byId("status").textContent}.`;
}
function outputs() {
  const speed = SPEEDS[number("speed")], set = settings(), percent = x => `${Math.round(100 * x)}%`;
  const words = {
    temperature: set.temperature ? set.temperature.toFixed(2) : "0, the likeliest", topK: set.topK || "off", topP: set.topP ? percent(set.topP) : "off",
    minP: set.minP ? percent(set.minP) : "off", speed: still.matches || speed === Infinity ? "at once" : `${speed} a second`,
  };
  sayOutputs(words);
  const quoted = byId("prompt").value.replaceAll("'", "'\\''"), filters = { topK: "--top-k", topP: "--top-p", minP: "--min-p" };
  const flags = Object.entries(filters).filter(([id]) => set[id]).map(([id, flag]) => ` ${flag} ${set[id]}`).join("");
  const typed = quoted ? ` --prompt '${quoted}'` : "";
  byId("command").textContent = `charrnn sample -m ${record.name} --seed ${set.seed} --temp ${set.temperature}${flags} --length ${set.length}${typed} --precision int8${record.alone ? " --no-counts" : ""}`;
}

// Whatever is set, the text is written anew with it, as far as it had come.
function changed(event) {
  outputs();
  if (event?.target.id === "speed") return;
  begin(places.length);
  go();
}

// ---- links

function fromHash() {
  const given = link.restore();
  outputs();
  begin(given ? settings().length : 0);
  go();
}

// ---- units

function pick(unit) {
  const { hidden } = layers[layerNumber()].layer;
  picked = unit === null ? null : Math.min(hidden - 1, Math.max(0, unit));
  byId("unit").value = picked ?? "";
  byId("legend").hidden = picked !== null;
  [...text.querySelectorAll("i")].forEach((span, at) => paint(span, places[at]));
  update();
}
strip.addEventListener("click", event => {
  const box = strip.getBoundingClientRect();
  pick(Math.floor((event.clientX - box.left) / box.width * strip.width));
});
byId("unit").addEventListener("input", event => pick(event.target.value === "" ? null : Math.round(+event.target.value)));
byId("none").addEventListener("click", () => pick(null));
byId("layer").addEventListener("change", () => { byId("unit").max = layers[layerNumber()].layer.hidden - 1; pick(picked); });
byId("gates").addEventListener("toggle", update);
byId("line").addEventListener("click", () => {
  const lines = byId("formula").children.length;
  if (++line < lines) return update();
  line = 0;
  step();
});

// ---- controls

function step() {
  running = false;
  if (writing.done) begin(0);
  wanted = places.length + 1;
  go();
}
byId("topK").max = Math.min(record.symbols - 1, 100);
byId("controls").addEventListener("input", changed);
byId("controls").addEventListener("submit", event => {
  event.preventDefault();
  if (!running && writing.done) begin(0);
  running = !running;
  if (!running) wanted = places.length;
  go();
});
byId("prompt").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("controls").requestSubmit();
});
byId("step").addEventListener("click", step);
byId("again").addEventListener("click", () => {
  byId("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 100000;
  outputs();
  begin(0);
  running = true;
  go();
});
byId("share").addEventListener("click", async () => { byId("status").textContent = said.textContent = await link.copy(); });
// Nothing can be set before there is a model.
async function open() {
  document.body.inert = true;
  byId("status").textContent = "Opening the model …";
  array = await unpacked(byId("arrays").textContent, record.bytes);
  model = new Model(record, array);
  const { networks } = model, title = (n, l) => networks.length > 1 ? `${l + 1} of network ${n + 1}` : `${l + 1}`;
  layers = networks.flatMap((network, n) => network.layers.map((layer, l) => ({ layer, title: title(n, l) })));
  byId("layer").replaceChildren(...layers.map(({ title }, at) => new Option(title, at)));
  addEventListener("hashchange", fromHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  document.body.inert = false;
  fromHash();
}
open().catch(problem => { byId("status").textContent = `This browser cannot open the model: ${problem.message}`; });
