// One family: what it is, the series that is looked at, or all of them together, and a table to choose from.

import { drawSpark, spark } from "./chart.js";
import { announce, h, put, say, sayNumber, searchField, words } from "./dom.js";
import { counted, rate, shown } from "./format.js";
import { to, wording } from "./metrics.js";
import { Panel } from "./series.js";
import { Table } from "./table.js";

const ORDERS = {
  name: (one, other) => (one.text < other.text ? -1 : 1),
  value: (one, other) => (other.value || 0) - (one.value || 0) || ORDERS.name(one, other),
  rate: (one, other) => (other.rate || 0) - (one.rate || 0) || ORDERS.name(one, other),
};

export class FamilyView {
  #history;
  #query = "";
  #order = "name";
  #shown = [];

  constructor(history, place) {
    this.#history = history;
    this.name = place.get("family");
    this.heading = h("h1", { id: "title", tabindex: "-1" }, this.name);
    this.type = h("span", { class: "type" });
    this.unit = h("span", { class: "unit" });
    this.help = h("p", { class: "about" });
    this.panel = new Panel(history);
    this.search = searchField("Search the labels of these series", (text) => this.#find(text), () => this.table.focus());
    this.count = h("p", { class: "count" });
    this.#query = place.get("find") ?? "";
    this.search.value = this.#query;
    this.table = new Table({
      label: "Series", className: "series", key: (series) => series.key, onleave: () => this.search.focus(),
      columns: [
        { name: "Labels", className: "what", sort: "name" }, { name: "Value", className: "value", sort: "value" },
        { name: "Rate", className: "rate", sort: "rate" }, { name: "Seen so far", className: "trend" },
      ],
      make: () => [[h("a", { class: "labels" })], [], [], [spark()]],
      fill: (cells, series, row) => this.#fill(cells, series, row),
      onsort: (order) => {
        this.#order = order;
        this.render();
      },
    });
    this.choice = h("section", { "aria-labelledby": "choice", class: "choice" },
      h("h2", { id: "choice" }, "Series"), h("div", { class: "tools" }, this.search, this.count), this.table.element);
    this.element = h("article", { "aria-labelledby": "title" },
      h("p", { class: "up" }, h("a", { href: "#" }, "← All metrics")),
      h("header", { class: "family" }, this.heading, h("p", { class: "kind" }, this.type, this.unit), this.help),
      this.panel.element, this.choice);
    this.place(place);
  }

  get title() {
    return this.heading.textContent;
  }

  /** Looks at the series that the address names. */
  place(place) {
    this.chosen = place.get("series") ?? undefined;
  }

  /** Esc: clears the search, or goes back to all series, or to all families. */
  back() {
    if (this.#query && document.activeElement === this.search) {
      this.search.value = "";
      this.#find("");
    } else location.hash = this.chosen ? to({ family: this.name, find: this.#query || undefined }) : "";
    return true;
  }

  focus(key) {
    if (key !== undefined) this.table.focus(key);
    else this.heading.focus({ preventScroll: true });
  }

  render() {
    const family = this.#history.families.get(this.name);
    this.panel.element.hidden = this.choice.hidden = !family;
    if (!family) {
      const waiting = this.#history.poll < 0;
      return say(this.help, waiting ? "Asking for the metrics…" : "The server has no metric of this name now.");
    }
    if (this.heading.textContent !== family.title) {
      // A long name is broken after an underscore.
      this.heading.replaceChildren(...family.title.split(/(?<=_)/).flatMap((part) => [part, h("wbr")]));
    }
    say(this.type, family.type);
    const unit = family.unit === "time" ? "a moment, in seconds since 1970" : family.unit && `in ${family.unit}`;
    say(this.unit, unit);
    say(this.help, family.help || "It has no help text.");
    this.table.grid.classList.toggle("still", !family.grows);
    const all = [...family.series.values()];
    const only = all.length === 1 ? all[0] : undefined;
    this.panel.show(family, family.series.get(this.chosen) ?? only, this.chosen !== undefined);
    this.choice.hidden = only !== undefined;
    if (!only) this.#choices(all);
  }

  #choices(all) {
    const wanted = words(this.#query);
    this.#shown = all.filter((series) => wanted.every((word) => series.found.includes(word))).sort(ORDERS[this.#order]);
    const whole = counted(all.length, "series");
    say(this.count, wanted.length ? `${this.#shown.length} of ${whole}` : whole);
    this.table.show(this.#shown, {
      sorted: this.#order, descending: this.#order !== "name",
      empty: wanted.length ? `No series has “${this.#query.trim()}” in its labels.` : "It has no series now.",
    });
  }

  #find(query) {
    this.#query = query;
    this.render();
    announce(`${counted(this.#shown.length, "series")} found`);
  }

  #fill([what, value, speed, trend], series, row) {
    const { family } = series;
    const history = this.#history;
    const link = what.firstElementChild;
    const name = series.json.sample ? `${series.name} ` : "";
    say(link, name + (series.text || "no labels"));
    put(link, "title", series.text || undefined);
    put(link, "href", to({ family: family.name, series: series.key, find: this.#query || undefined }));
    put(link, "aria-current", series.key === this.chosen ? "true" : undefined);
    row.classList.toggle("chosen", series.key === this.chosen);
    const told = family.type === "info" || family.type === "stateset";
    const unit = series.json.count === undefined ? family.unit : "";
    sayNumber(value, told ? { text: family.type === "info" ? "" : wording(series) } : shown(series.value, unit, history.now));
    sayNumber(speed, family.grows ? rate(series.rate, unit) : { text: "" });
    const drawn = told || family.unit === "time" ? [] : [family.grows ? history.steps(series) : history.values(series)];
    drawSpark(trend.firstElementChild, history.times, drawn, family.grows);
  }
}
