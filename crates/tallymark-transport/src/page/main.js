// The page as a whole: which view is shown, what the keys do, and how it stands with the server. What is in a view is
// not known here.

import { announce, byId, put, say } from "./dom.js";
import { FamilyView } from "./family.js";
import { Feed } from "./feed.js";
import { clock } from "./format.js";
import { Groups } from "./groups.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { Metrics } from "./metrics.js";

const THEMES = ["auto", "light", "dark"];
const history = new History();
const metrics = new Metrics(history);
let view;
let last = new URLSearchParams();
let begun = false;

const feed = new Feed("api/v1/families", {
  data(document) {
    try {
      history.take(document, performance.now() / 1000);
      view.render();
    } catch (error) {
      tell(`This page has a fault, and goes on asking: ${error.message}`);
      state("failing", "Fault");
      throw error;
    }
    tell("");
    state("live", "Live");
    put(byId("state"), "title", `The last answer came at ${clock(document.time)}`);
  },
  failed(error) {
    // Who wants to give no token is not asked for one again and again.
    if (error.status === 401 && feed.every > 0) pause();
    tell(error.status === undefined ? "The server does not answer. This page goes on asking." : `The metrics could not be read: ${error.message}`);
    state("failing", "No answer");
  },
  waiting(paused) {
    if (paused) state("paused", "Paused");
    else if (history.poll >= 0 && byId("state").dataset.state === "paused") state("live", "Live");
  },
});

function state(name, text) {
  byId("state").dataset.state = name;
  say(byId("state"), text);
}

function tell(text) {
  say(byId("trouble"), text);
  byId("trouble").hidden = !text;
}

/** Shows what the address says. */
function route() {
  const place = new URLSearchParams(location.hash.slice(1));
  const family = place.get("family");
  const name = family === null ? place.get("view") ?? "metrics" : "metrics";
  const same = family !== null && view instanceof FamilyView && view.name === family;
  if (same) view.place(place);
  else if (family !== null) view = new FamilyView(history, place);
  else view = name === "groups" ? new Groups(history) : name === "health" ? new Health(history) : metrics;
  for (const link of document.querySelectorAll("nav a")) put(link, "aria-current", link.dataset.view === name ? "page" : undefined);
  if (!same) {
    byId("main").replaceChildren(view.element);
    scrollTo(0, 0);
  }
  view.render();
  document.title = `${view.title} · Tallymark`;
  refocus(place, same);
  last = place;
  begun = true;
}

/** After going somewhere, the focus is where the eyes are: on the new view's title, or on the row that was left. */
function refocus(place, same) {
  const [from, chosen] = [last.get("family"), last.get("series")];
  if (same) {
    if (!place.has("series") && chosen !== null) view.focus(chosen);
    else if (place.has("series")) byId("main").querySelector(".panel").scrollIntoView({ block: "nearest" });
  } else if (view === metrics) {
    if (from !== null) view.focus(from);
  } else if (begun) view.focus();
}

function theme(chosen) {
  const root = document.documentElement;
  put(root, "data-theme", chosen === "auto" ? undefined : chosen);
  say(byId("theme"), { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[chosen]);
  byId("theme").dataset.theme = chosen;
  // Where nothing may be kept, the page forgets it when it is closed.
  try {
    localStorage.setItem("tallymark-theme", chosen);
  } catch {}
}

function remembered() {
  try {
    const found = localStorage.getItem("tallymark-theme");
    return THEMES.includes(found) ? found : "auto";
  } catch {
    return "auto";
  }
}

let before = 5;

function pause() {
  const every = byId("every");
  if (feed.every > 0) before = feed.every;
  every.value = feed.every > 0 ? "0" : String(before);
  feed.every = Number(every.value);
  announce(feed.every > 0 ? "Updating again" : "Paused");
}

const KEYS = {
  "/": () => view.search?.focus(),
  "?": () => byId("help").showModal(),
  p: pause,
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (view.back()) event.preventDefault();
    return;
  }
  if (event.target.matches("input, select")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

byId("every").addEventListener("change", (event) => {
  feed.every = Number(event.target.value);
});
byId("theme").addEventListener("click", (event) => {
  theme(THEMES[(THEMES.indexOf(event.target.dataset.theme) + 1) % THEMES.length]);
});
byId("keys").addEventListener("click", () => byId("help").showModal());
byId("skip").addEventListener("click", (event) => {
  // The address says which view is shown, so the link must not change it.
  event.preventDefault();
  byId("main").focus();
});
// The view that is shown, and none that was left, follows the window.
addEventListener("scroll", () => view.table?.later(), { passive: true });
addEventListener("resize", () => view.table?.later());
addEventListener("hashchange", route);
addEventListener("keydown", key);
theme(remembered());
route();
