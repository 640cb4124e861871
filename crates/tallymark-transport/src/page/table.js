// A table of any length, of which only the rows on the screen exist. Its columns, and what stands in them, are told by
// whoever makes it. For assistive technology it is a table with all its rows counted; arrow keys walk the rows.

import { h, put, say } from "./dom.js";

/** Rows beyond the screen's edges that exist nevertheless, so that scrolling meets no blank. */
const MARGIN = 8;
const PAGE = 10;

export class Table {
  #body = h("div", { role: "rowgroup", class: "rows" });
  #empty = h("p", { class: "empty" });
  #head;
  #rows = new Map();
  #items = [];
  #at = 0;
  #asked = false;
  #options;

  /**
   * Options: `label`; `columns`, each `{name, className, sort}`, where `sort` is the word for `onsort`; `key` of an item;
   * `make`, which gives a new row's cells with one link or button in it to focus; `fill(cells, item)`; `onsort`;
   * `onleave`, for when the focus leaves the rows upwards, or has no row to be on any more.
   */
  constructor(options) {
    this.#options = options;
    this.#head = h("div", { role: "row", class: "row head", "aria-rowindex": "1" }, ...options.columns.map((column) => this.#title(column)));
    this.grid = h("div", { role: "table", class: `table ${options.className}`, "aria-label": options.label },
      h("div", { role: "rowgroup" }, this.#head), this.#body);
    this.element = h("div", {}, this.grid, this.#empty);
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("focusin", (event) => this.#focused(event));
  }

  #title({ name, className, sort }) {
    const content = sort ? h("button", { type: "button", onclick: () => this.#options.onsort(sort) }, name) : name;
    return h("div", { role: "columnheader", class: className, "data-sort": sort }, content);
  }

  /** Shows these items; `sorted` is the column's word, `empty` what stands there if there are none. */
  show(items, { sorted, descending, empty }) {
    const focused = this.#items[this.#at];
    this.#items = items;
    if (focused && this.#body.contains(document.activeElement)) {
      // The row that has the focus may be another one now.
      const key = this.#options.key(focused);
      const at = items.findIndex((item) => this.#options.key(item) === key);
      if (at >= 0) this.#at = at;
    }
    this.#at = Math.max(0, Math.min(this.#at, items.length - 1));
    for (const title of this.#head.children) {
      const now = title.dataset.sort === sorted && sorted !== undefined;
      put(title, "aria-sort", now ? (descending ? "descending" : "ascending") : undefined);
    }
    put(this.grid, "aria-rowcount", items.length + 1);
    this.grid.hidden = items.length === 0;
    say(this.#empty, items.length === 0 ? empty : "");
    this.#empty.hidden = items.length > 0;
    this.#render();
  }

  /** Focuses the item that has the key, or, without one, the row that was focused last. */
  focus(key) {
    const at = key === undefined ? this.#at : this.#items.findIndex((item) => this.#options.key(item) === key);
    if (at >= 0 && this.#items.length > 0) this.#go(at);
  }

  get #height() {
    return parseFloat(getComputedStyle(this.grid).getPropertyValue("--row")) || 56;
  }

  /** Draws the rows that are on the screen now, with its next frame: for whoever knows that the window has moved. */
  later() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#render();
    });
  }

  #render() {
    if (!this.grid.isConnected) return this.#keep(new Set());
    const active = document.activeElement;
    const held = this.#body.contains(active);
    if (this.#items.length === 0) {
      this.#keep(new Set());
      if (held) this.#options.onleave?.();
      return;
    }
    const height = this.#height;
    this.#body.style.height = `${height * this.#items.length}px`;
    const { top } = this.#body.getBoundingClientRect();
    const first = Math.max(0, Math.floor(-top / height) - MARGIN);
    const last = Math.min(this.#items.length - 1, Math.ceil((innerHeight - top) / height) + MARGIN);
    const shown = new Set();
    for (let index = first; index <= last; index += 1) shown.add(index);
    // What has the focus, or would get it by Tab, stays, wherever the screen is.
    shown.add(this.#at);
    const keys = new Set([...shown].map((index) => this.#options.key(this.#items[index])));
    this.#keep(keys);
    let place = this.#body.firstElementChild;
    for (const index of [...shown].sort((one, other) => one - other)) {
      const row = this.#row(index, height);
      if (row === place) place = row.nextElementSibling;
      else this.#body.insertBefore(row, place);
    }
    if (!held || document.activeElement === active) return;
    // Whose row is gone goes on in the one that took its place.
    const next = active.isConnected ? active : this.#target(this.#at);
    next?.focus({ preventScroll: true });
  }

  #row(index, height) {
    const item = this.#items[index];
    const key = this.#options.key(item);
    let row = this.#rows.get(key);
    if (!row) {
      const cells = this.#options.make();
      row = h("div", { role: "row", class: "row" }, ...cells.map((cell, at) => {
        return h("div", { role: "cell", class: this.#options.columns[at].className }, ...cell);
      }));
      this.#rows.set(key, row);
    }
    row.style.transform = `translateY(${index * height}px)`;
    put(row, "aria-rowindex", index + 2);
    put(row, "data-index", index);
    this.#options.fill([...row.children], item, row);
    for (const target of targets(row)) put(target, "tabindex", index === this.#at ? "0" : "-1");
    return row;
  }

  #keep(keys) {
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
  }

  #focused(event) {
    const row = event.target.closest(".row");
    const at = Number(row.dataset.index);
    if (at === this.#at) return;
    this.#at = at;
    for (const other of this.#rows.values()) {
      for (const target of targets(other)) put(target, "tabindex", other === row ? "0" : "-1");
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.#items.length - 1;
    const to = {
      ArrowDown: this.#at + 1, ArrowUp: this.#at - 1, PageDown: this.#at + PAGE, PageUp: this.#at - PAGE, Home: 0, End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0 && this.#at === 0) return this.#options.onleave?.();
    this.#go(Math.max(0, Math.min(to, last)));
  }

  /** Focuses a row, wherever it is, and scrolls no more than needed. */
  #go(index) {
    this.#at = index;
    const height = this.#height;
    const top = this.#body.getBoundingClientRect().top + index * height;
    const covered = this.#head.getBoundingClientRect().bottom;
    const above = Math.max(0, Math.min(covered, innerHeight / 2));
    if (top < above) scrollBy(0, top - above);
    else if (top + height > innerHeight) scrollBy(0, top + height - innerHeight);
    this.#render();
    this.#target(index)?.focus({ preventScroll: true });
  }

  /** What is focused of a row that exists. */
  #target(index) {
    return targets(this.#rows.get(this.#options.key(this.#items[index])))[0];
  }
}

const targets = (row) => [...row.querySelectorAll("a, button")];
