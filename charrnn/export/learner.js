// A text to learn, in windows, and who learns it. Shapes: B rows, T steps, V symbols.
const ROWS = 16, MOST_SYMBOLS = 255, HELD_OUT = 0.1, MOST_HELD_OUT = 4000, RARE = "�";

// A text as ids of its symbols, the most frequent first; those beyond MOST_SYMBOLS are one. Its last tenth is held out.
class Lesson {
  constructor(text) {
    const letters = [...text], counts = new Map();
    for (const one of letters) counts.set(one, (counts.get(one) ?? 0) + 1);
    const ordered = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || (a < b ? -1 : 1));
    this.symbols = ordered.length > MOST_SYMBOLS ? [...ordered.slice(0, MOST_SYMBOLS), RARE] : ordered;
    this.ids = new Map(this.symbols.map((symbol, id) => [symbol, id]));
    this.start = this.symbols.length;
    const all = this.encode(text), held = Math.floor(all.length * HELD_OUT);
    this.training = all.subarray(0, all.length - held);
    this.heldOut = all.subarray(all.length - held).subarray(0, MOST_HELD_OUT);
  }
  encode(text) {
    return Int32Array.from([...text].map(one => this.ids.get(one) ?? this.ids.get(RARE)).filter(id => id !== undefined));
  }
  // Window w of T symbols reads the symbols one before it: of the first, the start.
  inputs(window, steps) {
    const from = window * steps;
    return window ? this.training.subarray(from - 1, from - 1 + steps) : [this.start, ...this.training.subarray(0, steps - 1)];
  }
  targets(window, steps) {
    return this.training.subarray(window * steps, (window + 1) * steps);
  }
  // Whether a paragraph begins with it, behind an empty line: then a row begins anew, as charrnn's do.
  opens(window, steps) {
    const line = this.ids.get("\n"), before = this.inputs(window, steps)[0], at = window * steps - 2;
    return !window || before === line && this.training[at] === line;
  }
  // Nats of a held-out symbol by how frequent symbols are in the training part, each counted once more.
  nats() {
    const counts = new Float64Array(this.symbols.length).fill(1), all = this.training.length + counts.length;
    for (const id of this.training) counts[id]++;
    return this.heldOut.reduce((sum, id) => sum - Math.log(counts[id] / all), 0) / this.heldOut.length;
  }
}

// One network and what moves it: windows in order, the state carried from each to the next. ROWS read side by side, each
// from a place of its own, the last window followed by the first.
class Learner {
  constructor(lesson, { cell, hidden, radius, steps, seed }) {
    const network = new Network({ cell, hidden, radius, symbols: lesson.symbols.length }, new Uniforms(seed));
    this.windows = Math.floor(lesson.training.length / steps);
    this.rows = Math.min(ROWS, this.windows);
    Object.assign(this, { lesson, network, steps, done: 0, skipped: 0 });
    this.pass = new Pass(network, steps, this.rows);
    this.gradients = new Gradients(this.pass);
    this.optimizer = new Optimizer(network.size);
    this.ids = new Int32Array(steps * this.rows);
    this.targets = this.ids.slice();
    this.writer = new Pass(network, 1, 1);
  }
  get read() { return this.done * this.steps * this.rows; }
  // One step -> nats a symbol, the gradient's norm before clipping. What is not finite moves no weight.
  step({ rate, clipAt, optimizer }) {
    const { pass, network, ids, targets, gradients } = this;
    this.fill();
    pass.read(ids);
    const nats = pass.cost(targets), size = clip(gradients.find(ids, targets), clipAt), sound = Number.isFinite(nats + size);
    if (sound) {
      this.optimizer[optimizer](network.all, gradients.all, rate);
      network.moved();
      pass.carry();
    } else pass.forget();
    this.skipped += !sound;
    this.done++;
    return { nats, norm: size };
  }
  fill() {
    const { lesson, rows, steps, windows, ids, targets } = this;
    for (let b = 0; b < rows; b++) {
      const window = (Math.floor(b * windows / rows) + this.done) % windows;
      if (lesson.opens(window, steps)) this.pass.forget(b);
      lesson.inputs(window, steps).forEach((id, t) => ids[t * rows + b] = id);
      lesson.targets(window, steps).forEach((id, t) => targets[t * rows + b] = id);
    }
  }
  // The held-out part as one stream -> nats a symbol.
  heldOut() {
    const { writer, lesson: { heldOut, training } } = this;
    let sum = 0, before = training.at(-1);
    writer.forget();
    for (const id of heldOut) {
      writer.read([before]);
      sum += writer.cost([id]);
      writer.carry();
      before = id;
    }
    return sum / heldOut.length;
  }
  // A text that goes on from a prompt, by the same draws for the same seed: what changes is the network.
  write(prompt, length, temperature, seed) {
    const { writer, lesson } = this, uniforms = new Uniforms(seed), read = id => { writer.read([id]); writer.carry(); };
    let text = "";
    writer.forget();
    for (const id of [lesson.start, ...lesson.encode(prompt)]) read(id);
    for (let n = 0; n < length; n++) {
      const id = draw(shares(writer.shares, { temperature }), uniforms.next());
      text += lesson.symbols[id];
      read(id);
    }
    return text;
  }
  // How far a gradient reaches back, from symbols all over the training part, behind some that give a state.
  reach(back, warm = 32, positions = 16) {
    const { lesson: { training }, network } = this, steps = warm + back + 1, room = training.length - steps - 1;
    this.far ??= new Gradients(new Pass(network, steps, positions));
    const ids = new Int32Array(steps * positions), targets = ids.slice();
    for (let b = 0; b < positions; b++) {
      const from = Math.floor(b * room / positions);
      for (let t = 0; t < steps; t++) [ids[t * positions + b], targets[t * positions + b]] = [training[from + t], training[from + t + 1]];
    }
    return this.far.reach(ids, targets).slice(0, back + 1);
  }
}
