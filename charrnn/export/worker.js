// What runs in the worker: both networks in turn on the same windows, so that they have always read as much, and reports
// of it. `session` counts how often all began anew, so that a late report is known for what it is.
let session = 0, lesson = null, learners = [], set = {}, running = false, told = 0;
// What was found since the last report, network by network, and when what was last done (ms).
let found = [], reported = 0, shown = 0;
const REPORT = 120, SHOW = 1000, SLICE = 40, WRITTEN = 320, BACK = 64, HELD_OUT_SHARE = 0.1;

const messages = {
  begin({ text, networks, steps, seed, settings }) {
    running = false;
    session++;
    set = settings;
    lesson = new Lesson(text);
    learners = networks.map((network, n) => new Learner(lesson, { ...network, steps, seed: (seed + n) % 2 ** 32 }));
    const [{ rows, windows }] = learners;
    postMessage({
      session, rows, windows, symbols: lesson.symbols.length, rare: lesson.symbols.includes(RARE), training: lesson.training.length, heldOut: lesson.heldOut.length,
      frequencies: lesson.nats(), sizes: learners.map(({ network }) => network.size),
    });
    found = learners.map(() => ({ nats: [], norms: [] }));
    judge();
    report(true);
  },
  set({ settings }) {
    set = settings;
    // A slider that is drawn says it many times a second.
    told ||= setTimeout(() => { told = 0; report(true); }, 100);
  },
  run() {
    running = true;
    reported = shown = performance.now();
    next();
  },
  pause() {
    running = false;
    report(true);
  },
  step() {
    advance();
    report(true);
  },
};
onmessage = ({ data }) => messages[data.kind](data);

// As many steps between two readings of the held-out part as make it cost that share of the time: one of its symbols is
// read forwards only, which is a third of the work, by loops that take twice as long for one row.
function period() {
  const [{ rows, steps }] = learners;
  return Math.max(1, Math.round(lesson.heldOut.length * 2 / 3 / (HELD_OUT_SHARE * rows * steps)));
}
function judge() {
  learners.forEach((learner, n) => found[n].heldOut = learner.heldOut());
}
function advance() {
  learners.forEach((learner, n) => {
    const { nats, norm } = learner.step(set);
    found[n].nats.push(nats);
    found[n].norms.push(norm);
  });
  const { done } = learners[0], between = period();
  // Soon after the beginning, where most happens, at powers of two.
  if (done < between ? Number.isInteger(Math.log2(done)) : done % between === 0) judge();
}

// For a slice of time; then messages are heard, and on it goes.
const { port1, port2 } = new MessageChannel();
let waiting = false;
port1.onmessage = () => {
  waiting = false;
  if (!running) return;
  const until = performance.now() + SLICE;
  do advance(); while (performance.now() < until);
  const now = performance.now();
  if (now - reported > REPORT) report(now - shown > SHOW);
  next();
};
function next() {
  if (!waiting) port2.postMessage(null);
  waiting = true;
}

// What was found since the last one; `whole`: with a text that each network writes, and how far its gradient reaches.
function report(whole) {
  if (!lesson) return;
  const mean = all => all.length ? all.reduce((sum, one) => sum + one, 0) / all.length : null;
  reported = performance.now();
  if (whole) shown = reported;
  postMessage({
    session, running, done: learners[0].done, read: learners[0].read, whole,
    networks: learners.map((learner, n) => ({
      nats: mean(found[n].nats), norm: Math.max(...found[n].norms), heldOut: found[n].heldOut, skipped: learner.skipped,
      ...whole && { text: learner.write(set.prompt, WRITTEN, set.temperature, set.seed), reach: learner.reach(BACK) },
    })),
  });
  found = learners.map(() => ({ nats: [], norms: [] }));
}
