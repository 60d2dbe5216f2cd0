// The page: what is set goes to the worker, and what it reports is shown.
const LEAST = 1000, MOST = 1_000_000, BITS = Math.log2(Math.E), NETWORKS = [0, 1], said = byId("said");
// How often the page changes by itself where motion is to be reduced (ms).
const SELDOM = 2000;
// Of these, a change begins afresh; the others take effect at once.
const FRESH = ["window", "radius", "seed", "cell0", "hidden0", "cell1", "hidden1"], LIVE = ["rate", "clip", "optimizer", "temperature", "prompt"];
const two = x => x.toFixed(2), short = x => x >= 1e6 ? `${+(x / 1e6).toPrecision(3)} M` : x >= 1000 ? `${+(x / 1000).toPrecision(3)} k` : `${+x.toPrecision(3)}`;
const charts = {
  loss: new Chart(byId("loss"), { x: short, y: x => `${+x.toFixed(1)}` }),
  reach: new Chart(byId("reach"), { log: true, x: String, y: small }),
  norm: new Chart(byId("norm"), { log: true, x: short, y: small }),
};
// What is known of the session under way: its size, and network by network what was measured.
let worker = null, session = 0, facts = null, known = new Set(), results = [], last = null, running = false, speed = null, drawnAt = 0;

function small(x) {
  if (!Number.isFinite(x)) return "–";
  return x >= 0.001 && x < 10000 ? `${+x.toPrecision(2)}` : `10${[...`${Math.round(Math.log10(x))}`].map(one => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "⁻").join("")}`;
}

// ---- what is set

function settings() {
  return {
    rate: 10 ** number("rate"), clipAt: number("clip"), optimizer: byId("optimizer").value, temperature: number("temperature"),
    prompt: byId("prompt").value, seed: whole("seed", 0, 4294967295),
  };
}
const network = n => ({ cell: byId(`cell${n}`).value, hidden: number(`hidden${n}`), radius: number("radius") });
const title = n => `${CELLS[network(n).cell].short} ${network(n).hidden}`;
function outputs() {
  const set = settings();
  sayOutputs({
    rate: `${+set.rate.toPrecision(2)}`, window: `${2 ** number("window")} steps`, temperature: set.temperature ? two(set.temperature) : "0, the likeliest",
    radius: number("radius").toFixed(1), ...Object.fromEntries(NETWORKS.map(n => [`hidden${n}`, `${network(n).hidden}`])),
  });
}

// Both networks as they are before any step; `on`: and on they go.
function begin(on) {
  const all = byId("lesson").value, text = all.slice(0, MOST), problem = byId("problem");
  outputs();
  problem.hidden = text.length >= LEAST && text.length === all.length;
  problem.textContent = text.length < LEAST ? `There are ${text.length} characters, too few to learn from: paste at least ${LEAST.toLocaleString("en")}.`
    : `Only the first ${MOST.toLocaleString("en")} characters are read.`;
  if (text.length < LEAST) return pause();
  known = new Set(text.toLowerCase().match(/\p{L}+/gu));
  results = NETWORKS.map(() => ({ nats: new Series(meanOf), heldOut: new Series(lastOf), norm: new Series(largestOf), reach: [], text: null, earlier: 0, skipped: 0 }));
  NETWORKS.forEach(n => byId(`earlier${n}`).replaceChildren());
  facts = last = speed = null;
  session++;
  send("begin", { text, networks: NETWORKS.map(network), steps: 2 ** number("window"), seed: whole("seed", 0, 4294967295), settings: settings() });
  running = false;
  if (on) run();
}
function send(kind, more = {}) { worker.postMessage({ kind, ...more }); }
function run() {
  running = true;
  send("run");
  buttons();
}
function pause() {
  running = false;
  send("pause");
  buttons();
}
function buttons() { byId("run").textContent = running ? "Pause" : last?.done ? "Go on" : "Start"; }

// ---- what is reported

function heard({ data }) {
  if (data.session !== session) return;
  if (data.sizes) return begun(data);
  const before = last;
  last = data;
  last.time = performance.now();
  if (before?.running && data.running) {
    const now = (data.read - before.read) / (data.time - before.time) * 1000;
    speed = speed === null ? now : speed + 0.1 * (now - speed);
  }
  data.networks.forEach((found, n) => note(found, results[n], data.read));
  if (data.running && still.matches && data.time - drawnAt < SELDOM) return;
  drawnAt = data.time;
  show(data);
}
function begun(data) {
  facts = data;
  const count = x => x.toLocaleString("en"), rest = facts.rare ? ", the rarest counted as one" : "";
  byId("about").textContent = `${count(facts.training)} characters to learn from and ${count(facts.heldOut)} held out, of ${facts.symbols} kinds${rest}. A step reads ${facts.rows} windows side by side. The text stays in this page.`;
  facts.sizes.forEach((size, n) => byId(`size${n}`).textContent = count(size));
}
function note({ nats, norm, heldOut, reach, text }, result, read) {
  if (nats !== null) {
    result.nats.push(read, nats * BITS);
    result.norm.push(read, norm);
  }
  if (heldOut !== undefined) result.heldOut.push(read, heldOut * BITS);
  if (text === undefined) return;
  Object.assign(result, { text, fresh: true, half: reach.every(Number.isFinite) ? halfLife(reach) : NaN });
  result.reach = reach.map((size, k) => [k, size / reach[0]]);
}
function show({ networks, read, done }) {
  networks.forEach(({ skipped }, n) => showNetwork(n, skipped, read));
  drawCharts(read);
  const rate = running && speed ? `, ${short(speed)} a second` : "", passes = read / facts.training;
  byId("status").textContent = done ? `${read.toLocaleString("en")} characters read (the text ${two(passes)} times), ${done.toLocaleString("en")} steps${rate}` : "nothing read yet";
  if (!running && done) said.textContent = `${byId("status").textContent}. ${NETWORKS.map(n => `${title(n)}: held-out ${byId(`heldOut${n}`).textContent}`).join("; ")}.`;
  buttons();
}
function showNetwork(n, skipped, read) {
  const result = results[n], { heldOut, half } = result, best = Math.min(...heldOut.points.map(([, y]) => y).filter(Number.isFinite));
  const bits = ({ points }) => points.length && Number.isFinite(points.at(-1)[1]) ? `${two(points.at(-1)[1])} bits` : "–";
  byId(`heldOut${n}`).textContent = bits(heldOut);
  byId(`best${n}`).textContent = Number.isFinite(best) ? `, best ${two(best)}` : "";
  byId(`nats${n}`).textContent = bits(result.nats);
  byId(`halves${n}`).textContent = half === null ? "never" : half > 0 ? `${half.toFixed(1)} steps` : "–";
  byId(`skipped${n}`).parentNode.hidden = !skipped;
  byId(`skipped${n}`).textContent = skipped.toLocaleString("en");
  if (skipped && !result.skipped) said.textContent = `${title(n)}: the gradient is not finite, no weight moves.`;
  result.skipped = skipped;
  if (!result.fresh) return;
  result.fresh = false;
  showSample(n, result.text);
  if (read < result.earlier) return;
  result.earlier = Math.max(1000, 2 * read);
  const item = document.createElement("li"), head = document.createElement("b");
  head.textContent = read ? `after ${short(read)} characters, ${bits(heldOut)}` : "before the first step";
  item.append(head, result.text.slice(0, 90).replaceAll("\n", " ↵ "));
  byId(`earlier${n}`).append(item);
}

// A sample, words that the text lacks underlined as a spelling checker does; the last one may be half a word.
function showSample(n, text) {
  const prompt = byId("prompt").value, front = document.createElement("b"), parts = [front], begun = prompt.match(/\p{L}+$/u)?.[0] ?? "";
  let words = 0, found = 0;
  front.textContent = prompt;
  for (const { 0: one, index } of text.matchAll(/\p{L}+|[^\p{L}]+/gu)) {
    const knows = known.has((index ? one : begun + one).toLowerCase()), counts = /\p{L}/u.test(one) && index + one.length < text.length;
    words += counts;
    found += counts && knows;
    const part = document.createElement(counts && !knows ? "u" : "span");
    part.textContent = one;
    parts.push(part);
  }
  byId(`sample${n}`).replaceChildren(...parts);
  byId(`words${n}`).textContent = words ? `${found} of ${words} words stand in the text; the others are underlined.` : "No words.";
}

function drawCharts(read) {
  const far = Math.max(read, 2000), of = (of, points, held) => ({ points, of, held, name: held && points.length > 1 ? title(of) : "" });
  const guess = facts.frequencies * BITS, least = Math.min(guess, ...results.flatMap(({ nats, heldOut }) => [...nats.points, ...heldOut.points].map(point => point[1])).filter(Number.isFinite));
  const lines = results.flatMap(({ nats, heldOut }, n) => [of(n, nats.points, false), of(n, heldOut.points, true)]);
  charts.loss.draw(lines, [{ y: guess, name: "characters by frequency alone" }], [0, far], [Math.floor(2 * least - 0.2) / 2, guess + 0.5]);
  const reaches = results.map(({ reach }, n) => ({ points: reach, of: n, held: true, name: title(n) })), steps = 2 ** number("window");
  const lowest = Math.min(...results.flatMap(({ reach }) => reach.map(point => Math.log10(point[1]))).filter(Number.isFinite), -2);
  const highest = Math.max(...results.flatMap(({ reach }) => reach.map(point => Math.log10(point[1]))).filter(Number.isFinite), 0);
  charts.reach.draw(reaches, steps < 64 ? [{ x: steps, name: "the window ends" }] : [], [0, 64], [Math.max(-9, Math.floor(lowest)), Math.ceil(highest)]);
  const norms = results.flatMap(({ norm }) => norm.points.map(point => Math.log10(point[1]))).filter(Number.isFinite);
  const clipAt = number("clip"), rules = Number.isFinite(clipAt) ? [{ y: clipAt, name: "clipped to this" }] : [];
  charts.norm.draw(results.map(({ norm }, n) => of(n, norm.points, false)), rules, [0, far], [Math.floor(Math.min(-1, ...norms)), Math.ceil(Math.max(1, ...norms))]);
  describe("loss", n => `held-out ${byId(`heldOut${n}`).textContent}, training ${byId(`nats${n}`).textContent}`);
  describe("reach", n => `a gradient halves in ${byId(`halves${n}`).textContent}`);
  describe("norm", n => small(results[n].norm.points.at(-1)?.[1] ?? NaN));
}
// What a chart says to those who do not see it.
function describe(id, words) {
  const svg = byId(id);
  svg.setAttribute("aria-label", `${svg.parentNode.querySelector("h2").textContent}. ${NETWORKS.map(n => `${title(n)}: ${words(n)}`).join("; ")}.`);
}

// ---- controls

let typing = 0;
byId("lesson").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => begin(running), 500);
});
byId("file").addEventListener("change", async ({ target: { files: [file] } }) => {
  if (!file) return;
  byId("lesson").value = await file.text();
  begin(running);
});
for (const id of LIVE) byId(id).addEventListener("input", () => {
  outputs();
  send("set", { settings: settings() });
});
for (const id of FRESH) {
  byId(id).addEventListener("input", outputs);
  byId(id).addEventListener("change", () => begin(running));
}
byId("controls").addEventListener("submit", event => {
  event.preventDefault();
  if (running) pause();
  else if (byId("lesson").value.length >= LEAST) run();
});
byId("step").addEventListener("click", () => {
  if (running) pause();
  if (byId("lesson").value.length >= LEAST) send("step");
});
byId("afresh").addEventListener("click", () => begin(running));
byId("explode").addEventListener("click", () => {
  const set = { rate: Math.log10(0.5).toFixed(1), clip: "Infinity", optimizer: "sgd", radius: 1.5, window: 6, cell1: "rnn-gelu", cell0: "lstm" };
  for (const [id, value] of Object.entries(set)) byId(id).value = value;
  begin(true);
  byId("controls").scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => last && drawCharts(last.read));
for (const n of NETWORKS) {
  const cell = byId(`cell${n}`);
  cell.replaceChildren(...Object.entries(CELLS).map(([name, { title }]) => new Option(title, name)));
  cell.value = cell.dataset.begun;
}
const link = new Link([...LIVE, ...FRESH]);
byId("share").addEventListener("click", async () => { byId("status").textContent = said.textContent = `${await link.copy()}: what is set, not the text`; });
function fromHash() {
  link.restore();
  begin(false);
}
addEventListener("hashchange", fromHash);

worker = new Worker(URL.createObjectURL(new Blob([byId("numerics").textContent, byId("worker").textContent], { type: "text/javascript" })));
worker.onmessage = heard;
worker.onerror = () => {
  byId("problem").hidden = false;
  byId("problem").textContent = "This browser does not let a page train beside itself: try another one.";
};
fromHash();
