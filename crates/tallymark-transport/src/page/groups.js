// Pushed groups: who pushed, when, and whether it was taken. Knows the Pushgateway's `api/v1/metrics`, and how a group is
// named in a path.

import { announce, byId, h, put, say, sayNumber, searchField, words } from "./dom.js";
import { ask } from "./feed.js";
import { age, counted, shown } from "./format.js";
import { Table } from "./table.js";

export class Groups {
  #history;
  #query = "";
  #groups;
  #trouble = "";
  /** Why the last deletion failed: said until the next one. */
  #kept = "";
  #busy = false;

  constructor(history) {
    this.#history = history;
    this.search = searchField("Search the labels of groups", (text) => this.#find(text), () => this.table.focus());
    this.count = h("p", { class: "count" });
    this.note = h("p", { class: "trouble", role: "alert", hidden: true });
    this.table = new Table({
      label: "Groups", className: "groups", key: (group) => group.text, onleave: () => this.search.focus(),
      columns: [
        { name: "Labels", className: "what" }, { name: "Metrics", className: "many" }, { name: "Last push", className: "value" },
        { name: "Last refused", className: "rate" }, { name: "Expires", className: "type" }, { name: "", className: "act" },
      ],
      make: () => [
        [h("span", { class: "labels" })], [], [], [], [],
        [h("button", { type: "button", class: "quiet", onclick: (event) => this.#delete(event.target.group) }, "Delete")],
      ],
      fill: (cells, group) => this.#fill(cells, group),
    });
    this.element = h("section", { "aria-labelledby": "title" },
      h("h1", { id: "title", tabindex: "-1" }, "Pushed groups"),
      h("p", { class: "about" }, "What jobs have pushed, by the labels that they pushed under."),
      h("div", { class: "tools" }, this.search, this.count), this.note, this.table.element);
  }

  get title() {
    return "Groups";
  }

  back() {
    if (!this.#query) {
      location.hash = "";
      return true;
    }
    this.search.value = "";
    this.#find("");
    return true;
  }

  focus() {
    byId("title").focus({ preventScroll: true });
  }

  render() {
    this.#show();
    void this.#load();
  }

  async #load() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const answer = await (await ask("api/v1/metrics")).json();
      this.#groups = answer.data.map(group);
      this.#trouble = "";
    } catch (error) {
      this.#trouble = error.status === 404 ? "This server takes no pushes." : `The groups could not be read: ${error.message}`;
    }
    this.#busy = false;
    if (this.element.isConnected) this.#show();
  }

  #show() {
    const wanted = words(this.#query);
    const all = this.#groups ?? [];
    const found = all.filter(({ text }) => wanted.every((word) => text.toLowerCase().includes(word)));
    say(this.count, this.#groups ? counted(found.length, "group", "groups") : "");
    this.#say([this.#kept, this.#trouble].filter(Boolean).join(" "));
    this.table.show(found, {
      empty: this.#trouble ? "" : !this.#groups ? "Asking for the groups…" : wanted.length ? "No group has that in its labels."
        : "Nobody has pushed anything yet.",
    });
  }

  #say(text) {
    say(this.note, text);
    this.note.hidden = !text;
  }

  #find(query) {
    this.#query = query;
    this.#show();
    announce(`${this.count.textContent} found`);
  }

  #fill([what, many, pushed, refused, expires, act], group) {
    const { now } = this.#history;
    say(what.firstElementChild, group.text);
    put(what.firstElementChild, "title", group.text);
    say(many, shown(group.families, "").text);
    sayNumber(pushed, shown(group.pushed, "time", now));
    sayNumber(refused, group.refused ? shown(group.refused, "time", now) : { text: "never" });
    refused.classList.toggle("bad", !group.successful);
    say(expires, group.expires === undefined ? "" : age(now - group.expires));
    const button = act.firstElementChild;
    button.group = group;
    put(button, "aria-label", `Delete the group ${group.text}`);
  }

  async #delete(group) {
    const dialog = byId("sure");
    say(byId("sure-what"), `${group.text}: ${counted(group.families, "metric", "metrics")}`);
    dialog.returnValue = "no";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "yes") return;
    this.#kept = "";
    try {
      await ask(path(group.labels), { method: "DELETE" });
      this.#groups = this.#groups.filter((one) => one.text !== group.text);
      announce(`${group.text} is deleted`);
    } catch (error) {
      this.#kept = `${group.text} is not deleted: ${error.message}`;
    }
    this.#show();
  }
}

/** What the page shows of a group, of what the server says. */
function group(json) {
  const stamp = (name) => Number(json[name]?.metrics?.[0]?.value ?? 0);
  const labels = Object.entries(json.labels).sort(([one], [other]) => (other === "job") - (one === "job") || (one < other ? -1 : 1));
  const own = new Set(["labels", "last_push_successful", "push_time_seconds", "push_failure_time_seconds"]);
  return {
    labels,
    text: labels.map(([name, value]) => `${name}="${value}"`).join(" "),
    families: Object.entries(json).filter(([name, value]) => !own.has(name) && value?.metrics).length,
    pushed: stamp("push_time_seconds"),
    refused: stamp("push_failure_time_seconds"),
    successful: json.last_push_successful !== false,
    expires: json.expires_at === undefined ? undefined : Number(json.expires_at),
  };
}

/** Where a group is deleted. What a path could not carry as it is, or would be read as something else, is in base64. */
function path(labels) {
  const parts = labels.flatMap(([name, value]) => {
    if (/^[\w-]+$/.test(value)) return [encodeURIComponent(name), value];
    return [`${encodeURIComponent(name)}@base64`, base64(value)];
  });
  return `metrics/${parts.join("/")}`;
}

function base64(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_") || "=";
}
