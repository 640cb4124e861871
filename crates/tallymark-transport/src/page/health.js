// Whether the stores are well, by what they say of themselves, and which processes have series of their own. Knows the
// names of Tallymark's own metrics, and which of them should be zero.

import { byId, h } from "./dom.js";
import { counted, shown } from "./format.js";
import { to } from "./metrics.js";

const UP = "tallymark_store_up";
/** What is amiss if one of these is not zero, and what to do. */
const TROUBLES = {
  tallymark_damaged_records: "Some of the file cannot be read: run tallymark doctor on it.",
  tallymark_conflicting_series: "Programs define one metric in different ways; their logs say which.",
  tallymark_overflowing_families: "A metric has more label sets than allowed: look for a label with endless values.",
  tallymark_unshared_series: "The file is full or cannot grow, so these are seen by their own process only.",
  tallymark_file_replacements: "Somebody deleted or replaced the file while programs used it.",
  tallymark_backlog_series: "What was counted here waits until the store can be reached.",
  tallymark_failed_drains: "Sending to the store failed at times; the reason is in the label.",
  tallymark_lost_batches: "Some counts were given up, because nobody can know whether they had arrived.",
};

export class Health {
  #history;
  #drawn = "";

  constructor(history) {
    this.#history = history;
    this.verdict = h("p", { class: "verdict" });
    this.stores = h("div");
    this.processes = h("div");
    this.element = h("article", { "aria-labelledby": "title" },
      h("h1", { id: "title", tabindex: "-1" }, "Health"), this.verdict,
      h("h2", {}, "What the server and its stores say of themselves"), this.stores,
      h("h2", {}, "Processes with series of their own"), this.processes);
  }

  get title() {
    return "Health";
  }

  back() {
    location.hash = "";
    return true;
  }

  focus() {
    byId("title").focus({ preventScroll: true });
  }

  render() {
    const { families, now, poll } = this.#history;
    const own = [...families.values()].filter(({ name }) => name.startsWith("tallymark_"));
    const rows = own.flatMap((family) => [...family.series.values()].map((series) => ({ family, series, trouble: trouble(family, series) })));
    const processes = workers(families.values());
    // A table that says the same is left alone: somebody may be reading it, or be on one of its links.
    const drawn = JSON.stringify([rows.map(({ series }) => [series.key, text(series, now)]), processes]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement?.getAttribute("href");
    const bad = rows.filter((row) => row.trouble);
    this.verdict.className = `verdict ${bad.length ? "bad" : "good"}`;
    this.verdict.textContent = poll < 0 ? "Asking for the metrics…" : bad.length
      ? `${counted(bad.length, "thing needs", "things need")} a look.` : "Nothing is amiss, as far as the stores know.";
    this.stores.replaceChildren(rows.length ? this.#stores(rows, now) : h("p", { class: "about" }, "They say nothing."));
    this.processes.replaceChildren(processes.length ? this.#workers(processes)
      : h("p", { class: "about" }, "None: no gauge here is kept by process."));
    if (focused) [...this.element.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  #stores(rows, now) {
    rows.sort((one, other) => Boolean(other.trouble) - Boolean(one.trouble) || (one.family.title < other.family.title ? -1 : 1));
    return table(["", "Metric", "Value", "What it means"], rows.map(({ family, series, trouble }) => {
      const link = h("a", { href: to({ family: family.name, series: series.key }) }, family.title);
      const labels = series.text ? h("span", { class: "labels" }, ` ${series.text}`) : null;
      const watched = family.name in TROUBLES || family.name === UP;
      const mark = h("span", { class: trouble ? "mark bad" : "mark good" }, trouble ? "look" : watched ? "fine" : "");
      return [[mark], [link, ...(labels ? [labels] : [])], [text(series, now)], [trouble ?? family.help]];
    }));
  }

  #workers(processes) {
    return table(["Process", "Host", "Its series"], processes.map(({ pid, instance, count }) => [[pid], [instance || "this one"], [counted(count, "series")]]));
  }
}

/** A small table; the second column's cells, or the first's where there are three, name their row. */
function table(columns, rows) {
  const naming = columns[0] ? 0 : 1;
  const head = columns.map((column) => (column ? h("th", { scope: "col" }, column) : h("td")));
  return h("div", { class: "scroll" }, h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...head)),
    h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((cell, index) => {
      return index === naming ? h("th", { scope: "row" }, ...cell) : h("td", {}, ...cell);
    }))))));
}

function text(series, now) {
  return series.json.count === undefined && Number.isNaN(series.value) ? series.text : shown(series.value, series.json.count === undefined ? series.family.unit : "", now).text;
}

function trouble({ name }, { value }) {
  if (name === UP) return value === 1 ? undefined : "The store cannot be read: see whether it runs and can be reached.";
  return value > 0 ? TROUBLES[name] : undefined;
}

/** The processes that series name, with how many name each. */
function workers(families) {
  const found = new Map();
  for (const family of families) {
    for (const series of family.series.values()) {
      const { pid, instance = "" } = series.json.labels;
      if (pid === undefined) continue;
      const key = `${instance} ${pid}`;
      const known = found.get(key) ?? { pid, instance, count: 0 };
      known.count += 1;
      found.set(key, known);
    }
  }
  return [...found.values()].sort((one, other) => (one.instance < other.instance ? -1 : one.instance > other.instance ? 1 : one.pid - other.pid));
}
