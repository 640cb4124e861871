// Asks the server for numbers, over and over while somebody looks, and for other things once. Knows when to ask, and
// how to show a token; what comes back it hands on unread.

import { byId } from "./dom.js";

/** How long an answer may take, in milliseconds: longer than the server gives itself for one, unless it is told otherwise. */
const PATIENCE = 35_000;
/** What a header can carry of a token. */
const SENDABLE = /^[\x21-\x7e]+$/;

let token = "";
let asking;

/** An answer that is not what was asked for; its text is for people. */
export class Refused extends Error {
  constructor(status, text) {
    super(text || `the server answered with status ${status}`);
    this.status = status;
  }
}

/** Asks for a path below this page, with the token if there is one, and for a token if one is wanted: status 401 if none is given. */
export async function ask(path, options = {}) {
  const sent = token;
  const headers = sent ? { authorization: `Bearer ${sent}` } : {};
  const response = await fetch(path, { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (response.ok) return response;
  const text = (await response.text()).trim().slice(0, 300);
  if (response.status !== 401) throw new Refused(response.status, text);
  // Another request may have asked for one meanwhile.
  if (token === sent) await askToken(sent ? `This server does not know that token: ${text}` : undefined);
  return ask(path, options);
}

function askToken(why) {
  asking ??= new Promise((resolve, reject) => {
    const [dialog, input] = [byId("token"), byId("token-text")];
    if (why) byId("token-why").textContent = why;
    // Esc leaves this as it is.
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const given = input.value.trim();
      input.value = "";
      asking = undefined;
      if (dialog.returnValue !== "use") return reject(new Refused(401, "this server wants a token, and none was given"));
      if (!SENDABLE.test(given)) return resolve(askToken("That is no token: it has a space, or something else that no token has."));
      token = given;
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
    const answer = await read(this.#path);
    try {
      if (answer.error) this.#on.failed(answer.error);
      else this.#on.data(answer.document);
    } finally {
      // Whatever the page makes of it, it goes on asking.
      this.#busy = false;
      this.#plan();
    }
  }
}

/** The `document` that a path answers with, or the `error` why there is none. */
async function read(path) {
  try {
    return { document: await (await ask(path)).json() };
  } catch (error) {
    return { error };
  }
}
