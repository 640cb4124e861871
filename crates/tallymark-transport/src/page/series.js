// What is known of one series, or, for a family of several, of all together: numbers, charts, buckets. Which of these a
// type has is told here.

import { Chart } from "./chart.js";
import { h, keep, put, say, sayNumber } from "./dom.js";
import { age, number, rate, shown, span } from "./format.js";
import { Looks, quantile } from "./history.js";
import { LINES, summary, to, wording } from "./metrics.js";

const RANKS = [0.5, 0.9, 0.99];

export class Panel {
  #history;
  #of;
  #head;
  #parts = new Map();
  /** The parts that the last `show` has left, until it has asked for them again. */
  #left = new Map();
  #looks;

  constructor(history) {
    this.#history = history;
    this.element = h("section", { class: "panel", "aria-label": "In detail" });
  }

  /** Shows a series, or, without one, the family; `chosen` says that there are others to go back to. */
  show(family, series, chosen) {
    if (this.#of !== (series ?? family)) this.#begin(family, series, chosen);
    [this.#left, this.#parts] = [this.#parts, new Map()];
    this.#fill(family, series);
    // What was not asked for again would go on saying what was so once.
    for (const part of this.#left.values()) part.element.remove();
  }

  #fill(family, series) {
    const { type } = family;
    if (family.series.size === 0) this.#tiles([["Series", { text: "none" }]]);
    else if (type === "info" || type === "stateset") this.#told(family, series);
    else if (type === "histogram" || type === "summary" || type === "gaugehistogram") this.#observed(family, series);
    else if (!series) this.#together(family);
    else if (family.grows) this.#counter(series);
    else if (family.unit === "time") this.#moment(series);
    else this.#gauge(series);
    if (series) this.#exemplars(series);
  }

  #begin(family, series, chosen) {
    this.#of = series ?? family;
    this.#parts = new Map();
    this.#looks = new Looks();
    const title = series ? h("h2", { class: "selector" }, h("code", {}, selector(series))) : h("h2", {}, "All series together");
    const all = chosen && series ? h("a", { href: to({ family: family.name }), class: "all" }, "All series") : null;
    this.#head = h("div", { class: "panel-head" }, title, all ?? "");
    this.element.replaceChildren(this.#head);
  }

  /** The part of the panel that has the name. `make`, if it is not there, gives `{element}`, to stand behind what was asked for before it. */
  #part(name, make) {
    const above = [...this.#parts.values()].at(-1)?.element ?? this.#head;
    const part = this.#left.get(name) ?? make();
    if (!this.#left.delete(name)) above.after(part.element);
    this.#parts.set(name, part);
    return part;
  }

  /** Numbers with their names. */
  #tiles(entries) {
    const { element: list } = this.#part("tiles", () => ({ element: h("dl", { class: "tiles" }) }));
    keep(list, entries.length, () => h("div", {}, h("dt"), h("dd")));
    entries.forEach(([name, value], index) => {
      say(list.children[index].firstElementChild, name);
      sayNumber(list.children[index].lastElementChild, value);
    });
  }

  /** Charts beside each other. */
  #charts(...drawings) {
    const { element, charts } = this.#part("charts", () => ({ element: h("div", { class: "charts" }), charts: [] }));
    while (charts.length > drawings.length) charts.pop().element.remove();
    while (charts.length < drawings.length) {
      charts.push(new Chart());
      element.append(charts.at(-1).element);
    }
    drawings.forEach((drawing, index) => charts[index].draw(drawing));
  }

  #rates(title, values, unit) {
    const format = (value) => rate(value, unit).text;
    return { title, times: this.#history.times, lines: [{ name: "rate", values }], format, fromZero: true };
  }

  /** All series of a family of counters or gauges. */
  #together(family) {
    const { now, times } = this.#history;
    const { unit } = family;
    const count = ["Series", { text: String(family.series.size) }];
    if (family.grows) {
      this.#tiles([["Total", summary(family, now)], ["Rate", rate(family.rate, unit)], count]);
      return this.#charts(this.#rates("How fast all of them grow", this.#history.flow(family), unit));
    }
    this.#tiles([["Values", summary(family, now)], count]);
    const all = [...family.series.values()];
    // A line for each, as long as there are few enough to tell apart.
    if (all.length > LINES || unit === "time") return;
    const lines = all.map((series) => ({ name: series.text, values: this.#history.values(series) }));
    const format = (value) => shown(value, unit, now).text;
    this.#charts({ title: "Their values", times, lines, format, fromZero: false });
  }

  #counter(series) {
    const { now } = this.#history;
    const { unit } = series.family;
    this.#tiles([["Value", shown(series.value, unit, now)], ["Rate", rate(series.rate, unit)], ["Counts since", since(series, now)]]);
    this.#charts(this.#rates("How fast it grows", this.#history.steps(series), unit));
  }

  #gauge(series) {
    const { now, times } = this.#history;
    const { unit } = series.family;
    const values = this.#history.values(series);
    const known = values.filter(Number.isFinite);
    const of = (value) => (known.length ? shown(value, unit, now) : { text: "–" });
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    this.#tiles([
      ["Value", shown(series.value, unit, now)], ["Lowest seen", of(Math.min(...known))], ["Highest seen", of(Math.max(...known))],
      ["Mean of what was seen", of(mean)],
    ]);
    const format = (value) => shown(value, unit, now).text;
    this.#charts({ title: "Its value", times, lines: [{ name: "value", values }], format, fromZero: false });
  }

  #moment(series) {
    const { now, times } = this.#history;
    this.#tiles([["When", shown(series.value, "time", now)]]);
    if (series.value === 0) return;
    const values = this.#history.values(series).map((value, index) => times[index] - value);
    this.#charts({ title: "How long ago it was", times, lines: [{ name: "age", values }], format: span, fromZero: true });
  }

  #told(family, series) {
    if (!series) return this.#tiles([["Series", { text: String(family.series.size) }]]);
    const { states } = series.json;
    if (states) this.#tiles([["State", { text: wording(series) }]]);
    const { element: list } = this.#part("told", () => ({ element: h("dl", { class: "told" }) }));
    const pairs = states ? Object.entries(states).map(([state, holds]) => [state, holds === 1 ? "holds" : "does not hold"]) : series.labels;
    list.replaceChildren(...pairs.map(([name, value]) => {
      return h("div", {}, h("dt", {}, name), h("dd", { class: states && value === "holds" ? "holds" : undefined }, value));
    }));
  }

  /** A histogram or a summary, or all of a family's. */
  #observed(family, series) {
    const { now } = this.#history;
    const { unit } = family;
    const looks = this.#looks.take(this.#history, series ? [series] : [...family.series.values()]);
    const last = looks.at(-1);
    const lately = family.grows ? last.lately : undefined;
    this.#tiles([
      ["Observations", shown(last.count, "", now)],
      ...(family.grows ? [["Rate", rate((series ?? family).rate, "")]] : []),
      ["Sum", Number.isNaN(last.sum) ? { text: "–" } : shown(last.sum, unit, now)], ["Mean", mean(last, unit)],
      series ? ["Counts since", since(series, now)] : ["Series", { text: String(family.series.size) }],
    ]);
    if (last.buckets) this.#quantiles(last, lately, unit);
    else if (series?.json.quantiles) this.#given(series.json.quantiles, unit);
    if (family.grows) {
      const steps = series ? this.#history.steps(series) : this.#history.flow(family);
      const course = last.buckets ? [this.#course(looks, unit)] : [];
      this.#charts(this.#rates("Observations", steps, ""), ...course);
    }
    if (last.buckets) this.#buckets(last.buckets, lately?.buckets, unit);
  }

  #quantiles(last, lately, unit) {
    const body = this.#part("quantiles", () => this.#table("quantiles", ["", "mean", ...RANKS.map((rank) => `p${rank * 100}`)]));
    const row = (name, look) => {
      const estimates = RANKS.map((rank) => estimate(quantile(rank, look?.buckets), unit));
      return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, mean(look, unit).text), ...estimates.map((text) => h("td", {}, text)));
    };
    const recent = lately ? `last ${span(Math.round(lately.seconds))}` : "last minute";
    body.rows.replaceChildren(row("since it began", last), row(recent, lately));
  }

  #given(quantiles, unit) {
    const body = this.#part("quantiles", () => this.#table("quantiles", ["quantile", "as the program says"]));
    body.rows.replaceChildren(...quantiles.map(([rank, value]) => {
      return h("tr", {}, h("th", { scope: "row" }, String(rank)), h("td", {}, shown(number(value), unit).text));
    }));
  }

  /** The quantiles of the minute before each look. */
  #course(looks, unit) {
    const lines = RANKS.map((rank) => ({ name: `p${rank * 100}`, values: looks.map(({ lately }) => quantile(rank, lately?.buckets).value) }));
    const format = (value) => shown(value, unit).text;
    const times = looks.map(({ clock }) => this.#history.moment(clock));
    return { title: "Quantiles of the last minute", times, lines, format, fromZero: true };
  }

  #buckets(all, lately, unit) {
    const body = this.#part("buckets", () => this.#table("buckets", ["up to", "since it began", "last minute", "share"]));
    const [whole, recent] = [single(all), lately && single(lately)];
    const share = (counts, index) => (counts ? (100 * counts[index]) / (counts.reduce((sum, one) => sum + one, 0) || 1) : 0);
    const longest = Math.max(...all.map((_, index) => Math.max(share(whole, index), share(recent, index)))) || 1;
    keep(body.rows, all.length, bucketRow);
    all.forEach(([bound], index) => {
      const [name, count, late, bars] = body.rows.children[index].children;
      say(name, shown(bound, unit).text);
      put(name, "title", shown(bound, unit).exact);
      say(count, shown(whole[index], "").text);
      say(late, recent ? shown(recent[index], "").text : "–");
      const [back, front, text] = bars.children;
      // The text beside them has the rest.
      back.style.width = `${(85 * share(whole, index)) / longest}%`;
      front.style.width = `${(85 * share(recent, index)) / longest}%`;
      say(text, `${share(whole, index).toFixed(1)} %`);
    });
  }

  #table(name, columns) {
    const rows = h("tbody");
    const head = h("tr", {}, ...columns.map((column) => (column ? h("th", { scope: "col" }, column) : h("td"))));
    const label = name === "buckets" ? "Buckets" : "Quantiles, estimated";
    const element = h("div", { class: `scroll ${name}`, tabindex: "0", role: "region", "aria-label": label },
      h("table", {}, h("caption", {}, label), h("thead", {}, head), rows));
    return { element, rows };
  }

  #exemplars(series) {
    const found = series.json.exemplars;
    if (!found) return;
    const { element } = this.#part("exemplars", () => ({ element: h("section", { class: "exemplars" }, h("h3", {}, "Exemplars"), h("ul")) }));
    element.lastElementChild.replaceChildren(...found.map(({ labels, value, time }) => {
      const text = Object.entries(labels).map(([name, of]) => `${name}="${of}"`).join(" ");
      const when = time === undefined ? "" : `, ${age(this.#history.now - time)}`;
      return h("li", {}, h("code", {}, text), ` ${shown(number(value), series.family.unit).text}${when}`);
    }));
  }
}

function bucketRow() {
  const bars = h("td", { class: "bars" }, h("span", { class: "back" }), h("span", { class: "front" }), h("span", { class: "percent" }));
  return h("tr", {}, h("th", { scope: "row" }), h("td"), h("td"), bars);
}

/** How many observations each bucket has by itself. */
function single(buckets) {
  return buckets.map(([, count], index) => count - (index === 0 ? 0 : buckets[index - 1][1]));
}

function estimate({ value, over }, unit) {
  return Number.isNaN(value) ? "–" : `${over ? "over " : ""}${shown(value, unit).text}`;
}

/** What observations came to on average, where that is known: a histogram need not have a sum. */
function mean(look, unit) {
  return look?.count > 0 && !Number.isNaN(look.sum) ? shown(look.sum / look.count, unit) : { text: "–" };
}

function since({ json }, now) {
  return json.created === undefined ? { text: "not told" } : shown(number(json.created), "time", now);
}

/** The series as PromQL selects it. */
function selector(series) {
  const label = (name) => (/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name));
  const pairs = series.labels.map(([name, value]) => `${label(name)}=${JSON.stringify(value)}`);
  if (!/^[a-zA-Z_:][\w:]*$/.test(series.name)) return `{${[JSON.stringify(series.name), ...pairs].join(", ")}}`;
  return pairs.length ? `${series.name}{${pairs.join(", ")}}` : series.name;
}
