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
  draw(lines, rules, [x0, x1], [y0, y1]) {
    this.given = [lines, rules, [x0, x1], [y0, y1]];
    const { svg, log } = this, width = svg.clientWidth, height = svg.clientHeight, narrow = width < 480;
    const longest = Math.max(...lines.map(({ name }) => name?.length ?? 0)), left = 46, right = width - (longest ? 7.5 * longest + 12 : 14), top = 10, bottom = height - 24;
    if (right <= left) return;
    const placeX = x => left + (right - left) * (x - x0) / (x1 - x0), value = y => log ? Math.log10(y) : y;
    const placeY = y => bottom - (bottom - top) * (value(y) - y0) / (y1 - y0), inside = `inside-${svg.id}`;
    const clip = drawn("clipPath", { id: inside }), parts = [clip], front = [];
    clip.append(drawn("rect", { x: left, y: top - 3, width: right - left, height: bottom - top + 6 }));
    const levels = log ? ticks(y0, y1, 5).filter(Number.isInteger).map(power => 10 ** power) : ticks(y0, y1, 5);
    for (const level of levels)
      parts.push(drawn("path", { class: "grid", d: `M${left} ${placeY(level)}H${right}` }), drawn("text", { x: left - 6, y: placeY(level) + 4, class: "end" }, this.y(level)));
    for (const at of ticks(x0, x1, narrow ? 3 : 6)) parts.push(drawn("text", { x: placeX(at), y: height - 6, class: "middle" }, this.x(at)));
    for (const { x, y, name } of rules) {
      const over = x === undefined;
      if (over && (value(y) < y0 || value(y) > y1)) continue;
      parts.push(drawn("path", { class: "rule", d: over ? `M${left} ${placeY(y)}H${right}` : `M${placeX(x)} ${top}V${bottom}` }));
      front.push(over ? drawn("text", { x: right - 4, y: placeY(y) - 5, class: "end rule-name" }, name) : drawn("text", { x: placeX(x) + 5, y: top + 12, class: "rule-name" }, name));
    }
    const labels = [];
    for (const { points, of, name, held } of lines) {
      let d = "", pen = false;
      for (const [x, y] of points) {
        const known = Number.isFinite(value(y));
        // A point without neighbours is a dot.
        if (known) d += `${pen ? "L" : "M"}${placeX(x).toFixed(1)} ${Math.max(-999, Math.min(9999, placeY(y))).toFixed(1)}${pen ? "" : "h.01"}`;
        pen = known;
      }
      parts.push(drawn("path", { class: `line of${of}${held ? " held" : ""}`, d, "clip-path": `url(#${inside})` }));
      if (!held) continue;
      const every = Math.ceil(points.length / MARKS);
      points.forEach(([x, y], n) => {
        const at = placeY(y);
        if ((points.length - 1 - n) % every === 0 && at >= top && at <= bottom) parts.push(mark(of, placeX(x), at));
      });
      const last = points.at(-1);
      if (name && last && Number.isFinite(value(last[1]))) labels.push({ name, of, x: placeX(last[0]) + 8, y: Math.max(top, Math.min(bottom, placeY(last[1]))) });
    }
    // Names beside the lines' ends, no nearer to each other than a line of words.
    labels.sort((a, b) => a.y - b.y);
    if (labels.length > 1 && labels[1].y - labels[0].y < NEAR) {
      const middle = Math.min(bottom - NEAR / 2, Math.max(top + NEAR / 2, (labels[0].y + labels[1].y) / 2));
      [labels[0].y, labels[1].y] = [middle - NEAR / 2, middle + NEAR / 2];
    }
    front.push(...labels.map(({ name, of, x, y }) => drawn("text", { x, y: y + 4, class: `name of${of}` }, name)));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...parts, ...front);
  }
}

// Discs of the first network, squares of the second.
function mark(of, x, y) {
  return of ? drawn("rect", { class: "mark of1", x: x - 3.5, y: y - 3.5, width: 7, height: 7 }) : drawn("circle", { class: "mark of0", cx: x, cy: y, r: 4 });
}
