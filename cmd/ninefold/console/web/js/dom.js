// el and svg make elements. Text is always set as text: nothing a person wrote is ever read as markup.

export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "text") node.textContent = value;
  else if (name === "css") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
  else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "value" || name === "checked" || name === "muted") node[name] = value;
  else node.setAttribute(name, value === true ? "" : value);
}

// fresh replaces what a node holds.
export function fresh(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

let ids = 0;

// uid makes an id for label and aria references.
export const uid = (name) => `${name}-${++ids}`;

// announce has a screen reader say something without moving the focus.
export function announce(text) {
  document.getElementById("live").textContent = text;
}

// calm is true where a person wants nothing to move by itself.
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
