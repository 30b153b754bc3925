// What stands in for media that is not simply shown.
import { announce, el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { kinds } from "../text.js";
import { safe } from "./pick.js";

// cover is the blurred rendition; where it may be revealed, a button does so and back.
export function cover(s, full) {
  const what = kinds[s.part.kind].toLowerCase();
  const box = el("div", { class: "cover" });
  const blurred = () => safe(s.part) && el("img", { class: "blurred", src: s.url(safe(s.part)), alt: `Blurred ${what}` });
  const hide = () => {
    s.open = false;
    fresh(box, blurred(), s.part.action === "blur_reveal" ? reveal() : label());
  };
  const label = () => el("p", { class: "veil" }, icon("hidden"), el("span", { text: `This ${what} stays blurred` }));
  const reveal = () =>
    el("div", { class: "veil" }, icon("hidden"), el("span", { text: "May be sensitive" }),
      el("button", { class: "button glass", type: "button", "data-reveal": s.part.item_id, "aria-label": `Show the ${what}: ${s.name}`, onclick: show }, icon("eye"), "Show"));
  function show() {
    s.open = true;
    const back = el("button", { class: "button glass again", type: "button", "aria-label": `Blur the ${what} again`, onclick: () => { hide(); box.querySelector("button")?.focus(); announce("Blurred"); } }, icon("hidden"));
    fresh(box, full(), back);
    box.querySelector("button, video").focus();
    announce(`${kinds[s.part.kind]} shown`);
  }
  hide();
  return box;
}

export function withheld(part) {
  return el("div", { class: "withheld" }, icon("lock"), el("p", { text: `This ${kinds[part.kind].toLowerCase()} is not shown` }));
}
