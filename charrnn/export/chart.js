// Lines over an axis, in SVG: each told from the others by its dashes and marks as well as by its colour.
const SVG = "http://www.w3.org/2000/svg", NEAR = 16, MARKS = 10, MOST_POINTS = 400;

// Points (x, y) as they come; when there are many, neighbours become one, by `joined` of their y.
class Series {
  constructor(joined) {
    this.joined = joined;
    this.points = [];
    this.together = 1;
    this.waiting = [];
  }
  push(x, y) {
    this.waiting.push(y);
    if (this.waiting.length < this.together) return;
    this.points.push([x, this.joined(this.waiting)]);
    this.waiting = [];
    if (this.points.length < MOST_POINTS) return;
    this.together *= 2;
    this.points = this.points.flatMap((point, n) => n % 2 ? [[point[0], this.joined([this.points[n - 1][1], point[1]])]] : []);
  }
}
const meanOf = all => all.reduce((sum, one) => sum + one, 0) / all.length, largestOf = all => Math.max(...all), lastOf = all => all.at(-1);

function drawn(name, attributes, words) {
  const found = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  if (words !== undefined) found.textContent = words;
  return found;
}

// Round steps that cut a range into some `count` parts.
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(times => times * power >= rough) * power;
  return Array.from({ length: Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1 }, (_, n) => (Math.ceil(low / step - 1e-9) + n) * step);
}

class Chart {
  // `log`: powers of ten upwards; `x`, `y`: numbers in words.
  constructor(svg, { log = false, x, y }) {
    Object.assign(this, { svg, log, x, y });
    new ResizeObserver(() => this.given && this.draw(...this.given)).observe(svg);
  }
  // lines: { points, of (0 or 1), name, held }; rules: { y or x, name }; ranges [low, high] of x and y, of powers of ten
  // where it is `log`. What lies outside runs off the edge.
  draw(lines, rules, xs, ys) {
    this.given = [lines, rules, xs, ys];
    const { svg, log } = this, { clientWidth: width, clientHeight: height } = svg, longest = Math.max(...lines.map(({ name }) => name.length));
    const value = y => log ? Math.log10(y) : y, left = 46, top = 10, right = width - (longest ? 7.5 * longest + 12 : 14), bottom = height - 24;
    if (right <= left) return;
    const frame = this.frame = {
      left, right, top, bottom, x: x => left + (right - left) * (x - xs[0]) / (xs[1] - xs[0]),
      y: y => Math.max(-999, Math.min(9999, bottom - (bottom - top) * (value(y) - ys[0]) / (ys[1] - ys[0]))),
    };
    const seen = rules.filter(({ y }) => y === undefined || frame.y(y) >= top && frame.y(y) <= bottom), clip = drawn("clipPath", { id: `inside-${svg.id}` });
    clip.append(drawn("rect", { x: left, y: top - 3, width: right - left, height: bottom - top + 6 }));
    const placed = lines.map(line => ({ ...line, places: line.points.map(([x, y]) => Number.isFinite(value(y)) ? [frame.x(x), frame.y(y)] : null) }));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(
      clip, ...this.axes(ticks(...xs, width < 480 ? 3 : 6), ticks(...ys, 5)), ...seen.map(rule => this.rule(rule)), ...placed.flatMap(line => this.line(line)),
      ...seen.map(rule => this.ruleName(rule)), ...this.names(placed),
    );
  }
  axes(across, upwards) {
    const { left, right, bottom, x, y } = this.frame, levels = this.log ? upwards.filter(Number.isInteger).map(power => 10 ** power) : upwards;
    return [
      ...levels.map(level => drawn("path", { class: "grid", d: `M${left} ${y(level)}H${right}` })),
      ...levels.map(level => drawn("text", { x: left - 6, y: y(level) + 4, class: "end" }, this.y(level))),
      ...across.map(at => drawn("text", { x: x(at), y: bottom + 18, class: "middle" }, this.x(at))),
    ];
  }
  rule({ x, y }) {
    const { left, right, top, bottom, ...place } = this.frame;
    return drawn("path", { class: "rule", d: x === undefined ? `M${left} ${place.y(y)}H${right}` : `M${place.x(x)} ${top}V${bottom}` });
  }
  ruleName({ x, y, name }) {
    const { right, top, ...place } = this.frame, over = x === undefined;
    return drawn("text", over ? { x: right - 4, y: place.y(y) - 5, class: "end rule-name" } : { x: place.x(x) + 5, y: top + 12, class: "rule-name" }, name);
  }
  // A line; marks on what was held out, and where a place without neighbours would be seen by nothing else.
  line({ places, of, held }) {
    const { top, bottom } = this.frame, every = Math.ceil(places.length / MARKS), last = places.length - 1;
    const marked = places.filter((at, n) => at && at[1] >= top && at[1] <= bottom && (held ? (last - n) % every === 0 : !places[n - 1] && !places[n + 1]));
    const path = drawn("path", { class: `line of${of}${held ? " held" : ""}`, d: pathOf(places), "clip-path": `url(#inside-${this.svg.id})` });
    return [path, ...marked.map(at => mark(of, ...at))];
  }
  // Of lines that have one, beside their ends.
  names(lines) {
    const { top, bottom } = this.frame, ended = lines.filter(({ name, places }) => name && places.at(-1));
    const ends = ended.map(({ name, of, places }) => ({ name, of, x: places.at(-1)[0] + 8, y: Math.max(top, Math.min(bottom, places.at(-1)[1])) }));
    apart(ends, top, bottom);
    return ends.map(({ name, of, x, y }) => drawn("text", { x, y: y + 4, class: `name of${of}` }, name));
  }
}

// Lines between neighbours; null is a place where nothing is known.
function pathOf(places) {
  return places.map((at, n) => at ? `${places[n - 1] ? "L" : "M"}${at[0].toFixed(1)} ${at[1].toFixed(1)}` : "").join("");
}

// The names at two lines' ends, no nearer to each other than a line of words.
function apart(ends, top, bottom) {
  ends.sort((a, b) => a.y - b.y);
  if (ends.length < 2 || ends[1].y - ends[0].y >= NEAR) return;
  const middle = Math.min(bottom - NEAR / 2, Math.max(top + NEAR / 2, (ends[0].y + ends[1].y) / 2));
  [ends[0].y, ends[1].y] = [middle - NEAR / 2, middle + NEAR / 2];
}

// Discs of the first network, squares of the second.
function mark(of, x, y) {
  return of ? drawn("rect", { class: "mark of1", x: x - 3.5, y: y - 3.5, width: 7, height: 7 }) : drawn("circle", { class: "mark of0", cx: x, cy: y, r: 4 });
}
