// What the page has seen: families and series with the numbers of the last polls, and the rates between them.
// Knows the JSON of `api/v1/families`, but neither how it came nor how it is shown.

import { number, unitOf } from "./format.js";

/** How many polls are remembered: ten minutes at five seconds. */
export const KEPT = 121;
/** How many seconds a rate is taken over, if they have been seen. */
const WINDOW = 60;
const GROWING = new Set(["counter", "histogram", "summary"]);
const SUFFIXES = { counter: "_total", info: "_info" };

/** A run of numbers, one for each poll; NaN where there was none. */
class Run {
  #numbers = new Float64Array(KEPT).fill(NaN);

  put(poll, value) {
    this.#numbers[poll % KEPT] = value;
  }

  at(poll) {
    return this.#numbers[poll % KEPT];
  }
}

/** One series: its labels, what the last poll said of it, and its numbers so far. */
class Series {
  constructor(family, key, json) {
    this.family = family;
    this.key = key;
    // An empty label is as good as none, and pushed series have one.
    this.labels = Object.entries(json.labels).filter(([, value]) => value !== "");
    this.name = json.sample ?? family.title;
    this.text = this.labels.map(([name, value]) => `${name}="${value}"`).join(" ");
    this.found = this.text.toLowerCase();
    this.run = new Run();
    this.born = 0;
    this.rate = NaN;
  }

  take(history, json) {
    const { poll } = history;
    this.json = json;
    this.value = number(json.value ?? json.count);
    this.run.put(poll, this.value);
    this.seen = poll;
    if (this.family.grows) this.rate = history.rate(this);
  }
}

/** One family: what it is, its series, and how fast all of them grow together. */
class Family {
  constructor(json) {
    this.series = new Map();
    this.flow = new Run();
    this.describe(json);
  }

  describe({ name, type, help, unit, series }) {
    this.name = name;
    this.type = type;
    this.help = help;
    // What is pushed without the suffix of its type is exposed without it, too.
    const bare = series.length > 0 && series.every(({ sample }) => sample === name);
    this.title = bare ? name : name + (SUFFIXES[type] ?? "");
    this.unit = unitOf({ name, unit, type });
    // What has no type is told by its name, as people tell it.
    this.grows = GROWING.has(type) || (type === "unknown" && /_(total|count|sum|bucket)$/.test(name));
    this.found = `${this.title} ${help} ${type}`.toLowerCase();
  }

  take(history, json) {
    const { poll } = history;
    for (const one of json.series) {
      const key = JSON.stringify([one.labels, one.sample]);
      let series = this.series.get(key);
      if (!series) {
        series = new Series(this, key, one);
        series.born = poll;
        this.series.set(key, series);
      }
      series.take(history, one);
    }
  }

  /** After a poll: drops what was not in it, and adds up what was. */
  settle(history) {
    this.rate = this.grows ? 0 : NaN;
    let flow = this.grows ? 0 : NaN;
    for (const [key, series] of this.series) {
      if (series.seen !== history.poll) this.series.delete(key);
      else if (this.grows) {
        this.rate += series.rate || 0;
        flow += history.step(series, history.poll) || 0;
      }
    }
    this.flow.put(history.poll, history.first === history.poll ? NaN : flow);
    if (history.first === history.poll) this.rate = NaN;
  }
}

/** All families, as of the last poll, and before. */
export class History {
  families = new Map();
  poll = -1;
  now = NaN;
  size = 0;
  /** Seconds since the first poll, at this one. It never goes back. */
  clock = 0;
  #clocks = new Run();
  #arrived = NaN;

  /** The first poll that is remembered. */
  get first() {
    return Math.max(0, this.poll - KEPT + 1);
  }

  /** Takes an answer that `arrived` then, in seconds by a clock of the browser that never goes back. */
  take(document, arrived) {
    this.poll += 1;
    if (this.poll > 0) this.clock += elapsed(document.time - this.now, arrived - this.#arrived);
    this.#clocks.put(this.poll, this.clock);
    this.#arrived = arrived;
    this.now = document.time;
    const named = new Set();
    this.size = 0;
    for (const json of document.families) {
      let family = this.families.get(json.name);
      if (!family || family.type !== json.type) {
        family = new Family(json);
        this.families.set(json.name, family);
      } else if (!named.has(json.name)) family.describe(json);
      named.add(json.name);
      family.take(this, json);
    }
    for (const [name, family] of this.families) {
      if (!named.has(name)) this.families.delete(name);
      else {
        family.settle(this);
        this.size += family.series.size;
      }
    }
  }

  /** The times of the polls that are remembered, as the server's clock would have told them that tells the time now. */
  get times() {
    return this.#each((poll) => this.moment(this.#clocks.at(poll)));
  }

  /** The time at which `clock` was so. */
  moment(clock) {
    return this.now - (this.clock - clock);
  }

  /** A series' numbers, or how fast it grew before each poll. */
  values(series) {
    return this.#each((poll) => series.run.at(poll));
  }

  steps(series) {
    return this.#each((poll) => (poll === this.first ? NaN : this.step(series, poll)));
  }

  flow(family) {
    return this.#each((poll) => family.flow.at(poll));
  }

  /** How fast a series grew between a poll and the one before it; one that is lower began again at zero. */
  step(series, poll) {
    if (poll <= series.born || poll <= this.first) return NaN;
    return grown(series.run.at(poll - 1), series.run.at(poll)) / (this.#clocks.at(poll) - this.#clocks.at(poll - 1));
  }

  /** How fast a series grows now: over the last minute, or what of it was seen. */
  rate(series) {
    let [from, growth] = [this.poll, 0];
    while (from > Math.max(series.born, this.first) && this.clock - this.#clocks.at(from - 1) <= WINDOW + 1) {
      const more = grown(series.run.at(from - 1), series.run.at(from));
      if (Number.isNaN(more)) break;
      growth += more;
      from -= 1;
    }
    return from === this.poll ? NaN : growth / (this.clock - this.#clocks.at(from));
  }

  #each(of) {
    return Array.from({ length: this.poll - this.first + 1 }, (_, index) => of(this.first + index));
  }
}

/**
 * How many seconds went by between two answers, by the server's clock and by the browser's. The server's may be set back;
 * the browser's may stand still while its machine sleeps.
 */
function elapsed(told, measured) {
  return told > measured / 2 ? told : measured;
}

function grown(before, after) {
  return after < before ? Math.max(after, 0) : after - before;
}

/** What some histograms or summaries have observed, at each of the last polls and in the minute before it. */
export class Looks {
  #all = [];
  #parts = new Map();
  #poll;

  /** Looks at the series, unless that was done since the last poll; gives all looks that are remembered. */
  take({ poll, clock }, series) {
    if (poll === this.#poll) return this.#all;
    const parts = new Map(series.map(({ key, json }) => [key, part(json)]));
    // What a series had that is new here may be years old.
    const known = [...parts].filter(([key]) => this.#parts.has(key));
    const step = together(known.map(([key, now]) => between(this.#parts.get(key), now)));
    const look = { clock, ...together([...parts.values()]), step };
    this.#all.push(look);
    if (this.#all.length > KEPT) this.#all.shift();
    look.lately = this.#lately(look);
    [this.#poll, this.#parts] = [poll, parts];
    return this.#all;
  }

  /** What was counted in the minute before the last look, or in what of it was seen, by that look's buckets. */
  #lately({ clock, buckets }) {
    const from = this.#all.findIndex((look) => look.clock >= clock - WINDOW - 1);
    const steps = this.#all.slice(from + 1).map(({ step }) => step);
    if (steps.length === 0) return undefined;
    const total = (of) => steps.reduce((sum, step) => sum + of(step), 0);
    return {
      seconds: clock - this.#all[from].clock,
      count: total(({ count }) => count),
      sum: total(({ sum }) => sum),
      buckets: buckets?.map(([bound]) => [bound, total((step) => upTo(step.buckets, bound))]),
    };
  }
}

/** What one histogram or summary has observed; its sum is NaN if it has none. */
function part({ count, sum, buckets }) {
  return { count: number(count), sum: number(sum), buckets: buckets?.map(([bound, count]) => [number(bound), number(count)]) };
}

/** The sum of several; without buckets, if theirs differ. */
function together(parts) {
  const total = (of) => parts.reduce((sum, part) => sum + of(part), 0);
  const buckets = parts[0]?.buckets ?? [];
  const alike = (part) => part.buckets?.length === buckets.length && part.buckets.every(([bound], at) => bound === buckets[at][0]);
  return {
    count: total(({ count }) => count),
    sum: total(({ sum }) => sum),
    buckets: buckets.length > 0 && parts.every(alike) ? buckets.map(([bound], at) => [bound, total((part) => part.buckets[at][1])]) : undefined,
  };
}

/** What one histogram or summary observed between two looks at it; all that it has, if it began again in between. */
function between(before, after) {
  const count = after.count - before.count;
  const buckets = before.buckets && after.buckets?.map(([bound, count]) => [bound, count - upTo(before.buckets, bound)]);
  if (count < 0 || buckets?.some(([, count]) => count < 0)) return after;
  return { count, sum: after.sum - before.sum, buckets };
}

/** How many observations were not above a bound. If it is none of the buckets', there were none since the one below. */
function upTo(buckets, bound) {
  return buckets?.findLast(([other]) => other <= bound)?.[1] ?? 0;
}

/**
 * The quantile that Prometheus' `histogram_quantile` estimates: observations lie evenly in their bucket. In the last
 * bucket, which has no end, it is the bound below, and `over` says so.
 */
export function quantile(rank, buckets) {
  const total = buckets?.at(-1)?.[1];
  if (!(total > 0)) return { value: NaN, over: false };
  const wanted = rank * total;
  const at = buckets.findIndex(([, count]) => count >= wanted);
  const [bound, count] = buckets[at];
  if (at === buckets.length - 1) return { value: buckets[at - 1]?.[0] ?? NaN, over: true };
  if (at === 0 && bound <= 0) return { value: bound, over: false };
  const [start, below] = at === 0 ? [0, 0] : buckets[at - 1];
  return { value: count === below ? bound : start + ((bound - start) * (wanted - below)) / (count - below), over: false };
}
