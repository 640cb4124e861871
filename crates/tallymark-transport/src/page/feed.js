// Asks the server for numbers, over and over while somebody looks, and for other things once. Knows when to ask, and
// how to show a token; what comes back it hands on unread.

import { byId } from "./dom.js";

let token = "";
let asking;

/** An answer that is not what was asked for; its text is for people. */
export class Refused extends Error {
  constructor(status, text) {
    super(text || `the server answered with status ${status}`);
    this.status = status;
  }
}

/** Asks for a path below this page, with the token if there is one, and for a token if one is wanted. */
export async function ask(path, options = {}) {
  const sent = token;
  const headers = sent ? { authorization: `Bearer ${sent}` } : {};
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.ok) return response;
  const text = (await response.text()).trim().slice(0, 300);
  if (response.status !== 401) throw new Refused(response.status, text);
  // Another request may have asked for one meanwhile.
  if (token === sent) await askToken(sent ? `This server does not know that token: ${text}` : undefined);
  return ask(path, options);
}

function askToken(why) {
  asking ??= new Promise((resolve) => {
    const [dialog, input] = [byId("token"), byId("token-text")];
    if (why) byId("token-why").textContent = why;
    dialog.addEventListener("close", () => {
      token = input.value.trim();
      input.value = "";
      asking = undefined;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** Polls `path`, as long as the page can be seen. */
export class Feed {
  #every = 5;
  #timer;
  #busy = false;
  #last = -Infinity;
  #path;
  #on;

  /** `on` has `data(document)`, `failed(error)` and `waiting(paused)`. */
  constructor(path, on) {
    this.#path = path;
    this.#on = on;
    document.addEventListener("visibilitychange", () => this.#plan());
    this.#plan();
  }

  /** Seconds between polls; 0 asks no more. */
  set every(seconds) {
    this.#every = seconds;
    this.#plan();
  }

  get every() {
    return this.#every;
  }

  /** Asks at once, as after a change that the page made. */
  now() {
    this.#last = -Infinity;
    this.#plan();
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#on.waiting(this.#every === 0);
    if (document.hidden || this.#every === 0 || this.#busy) return;
    const wait = this.#last + this.#every * 1000 - performance.now();
    this.#timer = setTimeout(() => this.#poll(), Math.max(0, wait));
  }

  async #poll() {
    this.#busy = true;
    this.#last = performance.now();
    try {
      const response = await ask(this.#path);
      this.#on.data(await response.json());
    } catch (error) {
      this.#on.failed(error);
    }
    this.#busy = false;
    this.#plan();
  }
}
