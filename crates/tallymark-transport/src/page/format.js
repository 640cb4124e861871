// Numbers as people read them: `1.2 MiB`, `230 ms`, `3 min ago`. Every function gives the short form and the exact one.
// Knows names and units of metrics, by Prometheus' conventions, but no page.

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 20 });
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL = ["", " k", " M", " G", " T", " P", " E"];
const LENGTHS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const SPANS = [...LENGTHS, [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const SUFFIX = /_(total|count|sum|bucket|created|info)$/;

/** The unit of a family: what it says itself, or what its name ends in. `time` is a moment since 1970. */
export function unitOf({ name, unit, type }) {
  const bare = name.replace(SUFFIX, "");
  if (/_(timestamp|time)_seconds$/.test(bare) && type !== "counter" && type !== "histogram" && type !== "summary") return "time";
  if (unit) return unit;
  const [, found] = bare.match(/_(seconds|bytes|ratio|percent|celsius|meters|grams|joules|volts|amperes|hertz)$/) ?? [];
  return found ?? "";
}

/** The number that the JSON has, which is a string where JSON has no number for it. */
export function number(value) {
  if (typeof value === "number") return value;
  if (value === "+Inf") return Infinity;
  return value === "-Inf" ? -Infinity : NaN;
}

/** A value in a unit. `now`, in seconds since 1970, is what ages are told by. */
export function shown(value, unit, now) {
  if (!Number.isFinite(value)) return { text: special(value) };
  switch (unit) {
    case "bytes": return { text: scaled(value, 1024, BINARY, " "), exact: `${GROUPED.format(value)} bytes` };
    case "seconds": return { text: span(value), exact: `${GROUPED.format(value)} s` };
    case "ratio": return { text: `${digits(value * 100)} %`, exact: GROUPED.format(value) };
    case "percent": return { text: `${digits(value)} %`, exact: `${GROUPED.format(value)} %` };
    case "time": return moment(value, now);
    default: {
      const exact = `${GROUPED.format(value)}${unit ? ` ${unit}` : ""}`;
      return { text: `${plain(value)}${unit ? ` ${unit}` : ""}`, exact };
    }
  }
}

/** How fast something grows, per second, minute or hour, whichever has a digit before the point. */
export function rate(perSecond, unit) {
  if (!Number.isFinite(perSecond)) return { text: "–" };
  const [times, per] = perSecond === 0 || perSecond >= 0.1 ? [1, "s"] : perSecond >= 0.1 / 60 ? [60, "min"] : [3600, "h"];
  const amount = perSecond * times;
  const text = unit === "bytes" ? scaled(amount, 1024, BINARY, " ") : `${plain(amount)}${unit === "seconds" ? " s" : ""}`;
  return { text: `${text}/${per}`, exact: `${GROUPED.format(Number(perSecond.toPrecision(6)))}/s` };
}

/** A length of time, in the greatest unit that leaves a digit before the point. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return special(seconds);
  if (seconds === 0) return "0 s";
  const size = Math.abs(seconds);
  const [length, name] = SPANS.find(([length]) => size >= length) ?? SPANS.at(-1);
  return `${digits(seconds / length)} ${name}`;
}

/** How long ago a moment was, or in how long it will be. */
export function age(seconds) {
  const size = Math.abs(seconds);
  if (!Number.isFinite(size)) return "–";
  if (size < 1) return "just now";
  const at = LENGTHS.findIndex(([length]) => size >= length);
  const [length, name] = LENGTHS[at];
  // Of hours and days the next smaller unit counts, too; nobody needs the seconds of a minute.
  const rest = length >= 3600 ? Math.floor((size % length) / LENGTHS[at + 1][0]) : 0;
  const whole = `${GROUPED.format(Math.floor(size / length))} ${name}${rest ? ` ${rest} ${LENGTHS[at + 1][1]}` : ""}`;
  return seconds < 0 ? `in ${whole}` : `${whole} ago`;
}

/** The time of day, for the axis of a chart. */
export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

/** A count of things: `1 series`, `2 groups`. */
export function counted(count, one, many = one) {
  return `${GROUPED.format(count)} ${count === 1 ? one : many}`;
}

function moment(value, now) {
  if (value === 0) return { text: "never", exact: "0" };
  const date = new Date(value * 1000);
  // Outside what a date can be it is a number like any other.
  if (Number.isNaN(date.getTime())) return shown(value, "", now);
  return { text: age(now - value), exact: `${date.toISOString().replace("T", " ")} (${value})` };
}

function special(value) {
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+∞" : "−∞";
}

function plain(value) {
  const size = Math.abs(value);
  if (size >= 1e21 || (size !== 0 && size < 1e-4)) return value.toExponential(2).replace("e+", "e");
  if (size >= 1e6) return scaled(value, 1000, DECIMAL, "");
  return Number.isInteger(value) ? GROUPED.format(value) : digits(value);
}

function scaled(value, base, names, space) {
  let power = 0;
  // 999.9 and more would be rounded to four digits.
  while (Math.abs(value) >= base * 0.9995 && power < names.length - 1) {
    value /= base;
    power += 1;
  }
  return `${power === 0 && Number.isInteger(value) ? GROUPED.format(value) : digits(value)}${space}${names[power]}`;
}

/** Three digits that count. */
function digits(value) {
  const size = Math.abs(value);
  const near = Math.round(value);
  // Bounds and ticks are mostly whole, give or take what division adds.
  if (Math.abs(value - near) <= size * 1e-12) return GROUPED.format(near);
  const rounded = Math.abs(Number(value.toPrecision(3)));
  if (rounded >= 100) return GROUPED.format(near);
  return value.toFixed(rounded >= 10 ? 1 : rounded >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(rounded))));
}
