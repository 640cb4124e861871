// Makes and changes elements. Whatever text comes from a metric goes in as text, never as HTML, and only through here:
// the page has no innerHTML. Knows nothing of metrics.

/** An element with attributes, listeners (functions, by `onclick` and so on) and children (elements and texts). */
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Changes the text, if it is another one: an unchanged page is not laid out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Changes an attribute, or takes it away (`undefined`). */
export function put(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Gives an element exactly so many children. */
export function keep(element, count, make) {
  while (element.children.length > count) element.lastElementChild.remove();
  while (element.children.length < count) element.append(make());
}

/** The element of the HTML file that has the id. */
export const byId = (id) => document.getElementById(id);

/** Puts a number's short form into an element, and its exact one where hovering and screen readers find it. */
export function sayNumber(element, { text, exact }) {
  if (!element.firstElementChild) {
    element.replaceChildren(h("span", { class: "short" }), h("span", { class: "exact" }));
  }
  const differs = exact !== undefined && exact !== text;
  say(element.firstElementChild, text);
  say(element.lastElementChild, differs ? exact : "");
  put(element, "title", differs ? exact : undefined);
}

/** Tells screen readers, and only them. */
export function announce(text) {
  say(byId("said"), text);
}

/** A search field; `on(text)` after each change, `down()` when an arrow leaves it downwards. */
export function searchField(label, on, down) {
  const input = h("input", {
    type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
    "aria-keyshortcuts": "/",
    oninput: () => on(input.value),
    onkeydown: (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      down();
    },
  });
  return input;
}

/** The words of a search, each of which must be found. */
export const words = (query) => query.toLowerCase().split(/\s+/).filter(Boolean);
