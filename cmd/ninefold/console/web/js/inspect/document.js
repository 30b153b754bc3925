// A JSON document to read or to copy.
import { announce, el } from "../dom.js";
import { icon } from "../icon.js";

export function document_(name, value) {
  const text = JSON.stringify(value, null, 2);
  const copy = el("button", {
    class: "button", type: "button",
    async onclick() {
      await navigator.clipboard.writeText(text);
      announce(`${name} copied`);
    },
  }, icon("copy"), "Copy");
  return el("details", { class: "card" }, el("summary", {}, el("h2", { text: name }), el("span", { class: "muted", text: value.schema })),
    el("div", { class: "row end" }, copy), el("pre", { tabindex: "0", "aria-label": name, text }));
}
