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

  describe({ name, type, help, unit }) {
    this.name = name;
    this.type = type;
    this.help = help;
    this.title = name + (SUFFIXES[type] ?? "");
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
  #times = new Run();

  /** The first poll that is remembered. */
  get first() {
    return Math.max(0, this.poll - KEPT + 1);
  }

  take(document) {
    this.poll += 1;
    this.now = document.time;
    this.#times.put(this.poll, document.time);
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

  /** The times of the polls that are remembered. */
  get times() {
    return this.#each((poll) => this.#times.at(poll));
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
    return grown(series.run.at(poll - 1), series.run.at(poll)) / (this.#times.at(poll) - this.#times.at(poll - 1));
  }

  /** How fast a series grows now: over the last minute, or what of it was seen. */
  rate(series) {
    let [from, growth] = [this.poll, 0];
    while (from > Math.max(series.born, this.first) && this.now - this.#times.at(from - 1) <= WINDOW + 1) {
      const more = grown(series.run.at(from - 1), series.run.at(from));
      if (Number.isNaN(more)) break;
      growth += more;
      from -= 1;
    }
    return from === this.poll ? NaN : growth / (this.now - this.#times.at(from));
  }

  #each(of) {
    return Array.from({ length: this.poll - this.first + 1 }, (_, index) => of(this.first + index));
  }
}

function grown(before, after) {
  return after >= before ? after - before : after;
}

/** All that some histograms or summaries have observed; without buckets, if theirs differ. */
export function look(time, all) {
  const total = (field) => all.reduce((sum, { json }) => sum + number(json[field]), 0);
  const [{ json: { buckets = [] } }] = all;
  const alike = ({ json }) => json.buckets?.length === buckets.length && json.buckets.every(([bound], at) => bound === buckets[at][0]);
  const added = buckets.map(([bound], at) => [number(bound), all.reduce((sum, { json }) => sum + json.buckets?.[at]?.[1], 0)]);
  return { time, count: total("count"), sum: total("sum"), buckets: buckets.length && all.every(alike) ? added : undefined };
}

/** What was counted between two looks at a histogram or summary; all of it, if it began again in between. */
export function between(before, after) {
  if (!before || after.count < before.count) return after;
  const earlier = new Map(before.buckets);
  return {
    count: after.count - before.count,
    sum: after.sum - before.sum,
    buckets: after.buckets?.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)]),
  };
}

/** The look that was taken a minute before the one at `index`, or the first that there is. */
export function minuteBefore(looks, index) {
  const { time } = looks[index];
  return looks.find((look) => look.time >= time - WINDOW - 1);
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
