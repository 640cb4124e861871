// The first view: all families, with what is worth knowing of each in one row. Knows the history and the table; what is
// inside a family is `family.js`.

import { drawSpark, spark } from "./chart.js";
import { announce, h, put, say, sayNumber, searchField, words } from "./dom.js";
import { counted, number, rate, shown } from "./format.js";
import { Table } from "./table.js";

/** How many lines a row's chart has at most: more cannot be told apart. */
export const LINES = 5;
const ORDERS = {
  name: (one, other) => (one.title < other.title ? -1 : 1),
  series: (one, other) => other.series.size - one.series.size || ORDERS.name(one, other),
  rate: (one, other) => (other.rate || 0) - (one.rate || 0) || ORDERS.name(one, other),
};

export class Metrics {
  #query = "";
  #order = "name";
  #history;
  #shown = [];

  constructor(history) {
    this.#history = history;
    this.search = searchField("Search names, help and labels", (text) => this.#find(text), () => this.table.focus());
    this.count = h("p", { class: "count" });
    this.table = new Table({
      label: "Metrics", className: "families", key: (family) => family.name, onleave: () => this.search.focus(),
      columns: [
        { name: "Name", className: "what", sort: "name" }, { name: "Type", className: "type" },
        { name: "Series", className: "many", sort: "series" }, { name: "Value", className: "value" },
        { name: "Rate", className: "rate", sort: "rate" }, { name: "Seen so far", className: "trend" },
      ],
      make: () => [[h("a", { class: "name" }), h("span", { class: "help" })], [], [], [], [], [spark()]],
      fill: (cells, family) => this.#fill(cells, family),
      onsort: (order) => {
        this.#order = order;
        this.render();
      },
    });
    this.element = h("section", { "aria-labelledby": "title" },
      h("h1", { id: "title", class: "hidden", tabindex: "-1" }, "Metrics"),
      h("div", { class: "tools" }, this.search, this.count), this.table.element);
  }

  get title() {
    return "Metrics";
  }

  /** Esc: clears the search, if there is one. */
  back() {
    if (!this.#query) return false;
    this.search.value = "";
    this.#find("");
    this.search.focus();
    return true;
  }

  /** Focuses the family that was looked at last. */
  focus(name) {
    this.table.focus(name);
  }

  render() {
    const all = [...this.#history.families.values()];
    const wanted = words(this.#query);
    this.#shown = all.filter((family) => matches(family, wanted)).sort(ORDERS[this.#order]);
    const whole = `${counted(all.length, "metric", "metrics")}, ${counted(this.#history.size, "series")}`;
    say(this.count, wanted.length ? `${this.#shown.length} of ${whole}` : whole);
    this.table.show(this.#shown, {
      sorted: this.#order, descending: this.#order !== "name",
      empty: this.#history.poll < 0 ? "Asking for the metrics…"
        : wanted.length ? `Nothing has “${this.#query.trim()}” in its name, help or labels. Esc clears the search.`
        : "There are no metrics yet. They appear here as soon as somebody counts or pushes something.",
    });
  }

  #find(query) {
    this.#query = query;
    scrollTo(0, 0);
    this.render();
    announce(`${counted(this.#shown.length, "metric", "metrics")} found`);
  }

  #fill([what, type, many, value, speed, trend], family) {
    const history = this.#history;
    const wanted = words(this.#query);
    const [link, help] = what.children;
    say(link, family.title);
    // Whoever found it by a label wants that label's series.
    const query = wanted.length && !wanted.every((word) => family.found.includes(word)) ? this.#query.trim() : undefined;
    put(link, "href", to({ family: family.name, find: query }));
    say(help, family.help);
    put(help, "title", family.help || undefined);
    say(type, family.type);
    say(many, shown(family.series.size, "").text);
    const { name = "", text, exact } = summary(family, history.now);
    sayNumber(value, { text: `${name} ${text}`.trim(), exact });
    sayNumber(speed, family.grows ? rate(family.rate, family.type === "counter" ? family.unit : "") : { text: "" });
    const lines = trends(family, history);
    drawSpark(trend.firstElementChild, history.times, lines, family.grows);
  }
}

/** A link to a view of this page. */
export function to(place) {
  return `#${new URLSearchParams(Object.entries(place).filter(([, value]) => value !== undefined))}`;
}

function matches(family, wanted) {
  if (wanted.every((word) => family.found.includes(word))) return true;
  for (const series of family.series.values()) {
    if (wanted.every((word) => series.found.includes(word) || family.found.includes(word))) return true;
  }
  return false;
}

function trends(family, history) {
  if (family.grows) return [history.flow(family)];
  if (family.type === "info" || family.type === "stateset" || family.unit === "time") return [];
  return [...family.series.values()].slice(0, LINES).map((series) => history.values(series));
}

/** What a family comes to, in one short text, and what to call that if it is no plain value. */
export function summary(family, now) {
  const all = [...family.series.values()];
  const { unit, type } = family;
  if (all.length === 0) return { text: "no series" };
  if (type === "info" || type === "stateset") return all.length === 1 ? { text: wording(all[0]) } : { text: "" };
  if (type === "histogram" || type === "summary") {
    const observed = all.filter(({ json }) => json.count !== undefined);
    const total = (field) => observed.reduce((sum, { json }) => sum + number(json[field]), 0);
    const [count, sum] = [total("count"), total("sum")];
    if (count === 0) return { text: "nothing observed" };
    // A histogram need not have a sum, and then it has no mean.
    return Number.isNaN(sum) ? { text: `${shown(count, "").text} observed` } : { ...shown(sum / count, unit, now), name: "mean" };
  }
  if (family.grows) return shown(all.reduce((sum, { value }) => sum + value, 0), unit, now);
  const known = all.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  if (known.length === 0) return shown(NaN, unit, now);
  const [low, high] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [known[0], known[0]]);
  const [least, most] = [shown(low, unit, now), shown(high, unit, now)];
  if (low === high) return least;
  return { text: `${least.text} – ${most.text}`, exact: `${least.exact ?? least.text} – ${most.exact ?? most.text}` };
}

/** What an info or a state set says. */
export function wording({ json, text }) {
  if (!json.states) return text;
  const held = Object.entries(json.states).filter(([, holds]) => holds === 1).map(([state]) => state);
  return held.join(", ") || "no state";
}
