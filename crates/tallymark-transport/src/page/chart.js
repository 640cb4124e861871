// Draws lines: a small one in a table's row, and a large one with axes. Knows numbers and times, no metrics. Colours are
// the style sheet's. A gap in the numbers (NaN) is a gap in the line.

import { h, keep, put, say, svg } from "./dom.js";
import { clock } from "./format.js";

/** A chart is never less than this many seconds wide, so that the second poll does not fill it. */
const SHORTEST = 30;
const SMALL = { width: 132, height: 30 };
const LARGE = { height: 200, left: 68, right: 14, top: 10, bottom: 26 };

/** A small chart, to be filled by `drawSpark`. What it shows stands in numbers beside it, so it is silent. */
export function spark() {
  return svg("svg", { class: "spark", viewBox: `0 0 ${SMALL.width} ${SMALL.height}`, "aria-hidden": "true" });
}

/** Draws up to a few lines of values over the same times; the area under a single one is filled. */
export function drawSpark(element, times, lines, fromZero) {
  const scale = scales(times, lines, fromZero, { left: 1, right: SMALL.width - 1, top: 3, bottom: SMALL.height - 3 });
  const paths = lines.map((values) => ["line", path(times, values, scale)]);
  if (lines.length === 1) paths.unshift(["area", area(times, lines[0], scale, SMALL.height)]);
  keep(element, paths.length, () => svg("path"));
  paths.forEach(([name, d], index) => {
    put(element.children[index], "class", name);
    put(element.children[index], "d", d);
  });
}

/** A chart with axes, a legend if it has several lines, what is under the pointer, and a table of the same numbers. */
export class Chart {
  #svg = svg("svg", { class: "plot", role: "img" });
  #grid = svg("g", { class: "grid" });
  #lines = svg("g");
  #cross = svg("g", { class: "cross" });
  #legend = h("div", { class: "legend" });
  #under = h("div", { class: "under", "aria-hidden": "true" });
  #rows = h("tbody");
  #head = h("tr");
  #scroll = h("div", { class: "scroll", tabindex: "0", role: "region" }, h("table", {}, h("thead", {}, this.#head), this.#rows));
  #table = h("details", { class: "numbers", ontoggle: () => this.#fill() },
    h("summary", {}, "These numbers as a table"), this.#scroll);
  #drawn;

  constructor() {
    this.#svg.append(this.#grid, this.#lines, this.#cross);
    this.#svg.addEventListener("pointermove", (event) => this.#point(event));
    this.#svg.addEventListener("pointerleave", () => this.#leave());
    this.title = h("h3");
    this.element = h("figure", { class: "chart" },
      h("div", { class: "chart-head" }, this.title, this.#legend, this.#under), this.#svg, this.#table);
  }

  /** Draws `lines` (`{name, values}`) over `times`; `format` makes text of a value. */
  draw({ title, times, lines, format, fromZero }) {
    say(this.title, title);
    const width = Math.max(280, this.element.clientWidth || 640);
    const box = { left: LARGE.left, right: width - LARGE.right, top: LARGE.top, bottom: LARGE.height - LARGE.bottom };
    const scale = scales(times, lines.map((line) => line.values), fromZero, box);
    this.#drawn = { times, lines, format, scale, box, title };
    put(this.#svg, "viewBox", `0 0 ${width} ${LARGE.height}`);
    put(this.#svg, "height", LARGE.height);
    put(this.#svg, "aria-label", this.#spoken());
    put(this.#scroll, "aria-label", `${title}, as a table`);
    this.#axes();
    keep(this.#lines, lines.length + 1, () => svg("path"));
    put(this.#lines.children[0], "class", "area");
    put(this.#lines.children[0], "d", lines.length === 1 ? area(times, lines[0].values, scale, box.bottom) : "");
    lines.forEach((line, index) => {
      put(this.#lines.children[index + 1], "class", `line c${index}`);
      put(this.#lines.children[index + 1], "d", path(times, line.values, scale));
    });
    keep(this.#legend, lines.length > 1 ? lines.length : 0, () => h("span"));
    [...this.#legend.children].forEach((entry, index) => {
      put(entry, "class", `c${index}`);
      say(entry, lines[index].name);
    });
    this.#fill();
  }

  #axes() {
    const { scale, box, format, times } = this.#drawn;
    const parts = ticks(scale.low, scale.high).map((value) => {
      const y = scale.y(value).toFixed(1);
      return [svg("line", { x1: box.left, x2: box.right, y1: y, y2: y }),
        svg("text", { x: box.left - 8, y: Number(y) + 4, "text-anchor": "end" }, format(value))];
    });
    const y = box.bottom + 18;
    const moments = times.length === 0 ? [] : [
      [box.left, "start", scale.start], [(box.left + box.right) / 2, "middle", (scale.start + scale.end) / 2],
      [box.right, "end", scale.end],
    ];
    const labels = moments.map(([x, anchor, time]) => svg("text", { x, y, "text-anchor": anchor }, clock(time)));
    this.#grid.replaceChildren(...parts.flat(), ...labels);
  }

  #spoken() {
    const { lines, format, title } = this.#drawn;
    const each = lines.map(({ name, values }) => {
      const known = values.filter(Number.isFinite);
      if (known.length === 0) return `${name}: nothing seen yet`;
      const [low, high] = [Math.min(...known), Math.max(...known)];
      return `${name}: now ${format(known.at(-1))}, from ${format(low)} to ${format(high)}`;
    });
    return `${title}. ${each.join("; ")}`;
  }

  #point(event) {
    const { times, lines, format, scale, box } = this.#drawn;
    const { left, width } = this.#svg.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * (box.right + LARGE.right);
    const nearest = times.reduce((best, time, index) => {
      return Math.abs(scale.x(time) - x) < Math.abs(scale.x(times[best]) - x) ? index : best;
    }, 0);
    if (times.length === 0) return;
    const at = scale.x(times[nearest]).toFixed(1);
    const dots = lines.map(({ values }, index) => {
      const value = values[nearest];
      return Number.isFinite(value) ? svg("circle", { class: `c${index}`, cx: at, cy: scale.y(value).toFixed(1), r: 3 }) : null;
    });
    this.#cross.replaceChildren(
      svg("line", { x1: at, x2: at, y1: box.top, y2: box.bottom }), ...dots.filter((dot) => dot !== null));
    const values = lines.map(({ values }) => format(values[nearest])).join(" · ");
    say(this.#under, `${clock(times[nearest])}  ${values}`);
  }

  #leave() {
    this.#cross.replaceChildren();
    say(this.#under, "");
  }

  #fill() {
    if (!this.#table.open || !this.#drawn) return;
    const { times, lines, format } = this.#drawn;
    const cells = (tag, texts) => texts.map((text) => h(tag, tag === "th" ? { scope: "col" } : {}, text));
    this.#head.replaceChildren(...cells("th", ["Time", ...lines.map((line) => line.name)]));
    const rows = times.map((time, index) => cells("td", [clock(time), ...lines.map((line) => format(line.values[index]))]));
    this.#rows.replaceChildren(...rows.reverse().map((row) => h("tr", {}, ...row)));
  }
}

/** Where times and values lie in a box. Equal values lie in its middle, or, being zero, at its foot. */
function scales(times, lines, fromZero, box) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of lines) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) [low, high] = [0, 1];
  if (fromZero) low = Math.min(0, low);
  if (low === high) {
    const room = fromZero ? 1 : Math.abs(low) / 10 || 1;
    [low, high] = [fromZero ? low : low - room, high + room];
  }
  const end = times.at(-1) ?? 0;
  const start = Math.min(times[0] ?? 0, end - SHORTEST);
  return {
    low, high, start, end,
    x: (time) => box.left + ((time - start) / (end - start)) * (box.right - box.left),
    y: (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top),
  };
}

function path(times, values, scale) {
  let [d, broken] = ["", true];
  values.forEach((value, index) => {
    if (Number.isFinite(value)) d += `${broken ? "M" : "L"}${scale.x(times[index]).toFixed(1)} ${scale.y(value).toFixed(1)}`;
    broken = !Number.isFinite(value);
  });
  return d;
}

/** The line, let down to the foot at both ends of each of its pieces. */
function area(times, values, scale, foot) {
  let [d, last] = ["", -1];
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) return;
    const x = scale.x(times[index]).toFixed(1);
    if (last !== index - 1 || last < 0) d += `${last < 0 ? "" : `V${foot}Z`}M${x} ${foot}`;
    d += `L${x} ${scale.y(value).toFixed(1)}`;
    last = index;
  });
  return d && `${d}V${foot}Z`;
}

/** Three to six round numbers between two. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6 && found.length < 8; tick += step) {
    found.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
  }
  return found;
}
