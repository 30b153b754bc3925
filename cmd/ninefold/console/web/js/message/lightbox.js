// Enlarges photos and videos. A modal dialog: the browser keeps the focus inside, and Escape closes it.
import { el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { film, still } from "./pick.js";

export function lightbox(all, first) {
  let at = Math.max(0, all.indexOf(first));
  const opener = document.activeElement;
  const place = el("div", { class: "place" });
  const count = el("p", { class: "count", role: "status" });
  const step = (by) => {
    at = (at + by + all.length) % all.length;
    show();
  };
  const arrow = (name, sign, by) =>
    all.length > 1 && el("button", { class: `button glass ${sign}`, type: "button", "aria-label": name, onclick: () => step(by) }, icon(sign));
  const dialog = el("dialog", {
    class: "lightbox", "aria-label": "Enlarged",
    onkeydown(e) {
      if (e.target instanceof HTMLVideoElement) return; // its own keys
      if (e.key === "ArrowRight") step(1);
      if (e.key === "ArrowLeft") step(-1);
    },
    onclick: (e) => (e.target === dialog || e.target === place) && dialog.close(),
    onclose() {
      dialog.remove();
      opener?.focus();
    },
  },
    place,
    el("div", { class: "lightbox-top" }, count, el("button", { class: "button glass square", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    arrow("Previous", "left", -1), arrow("Next", "right", 1));

  function show() {
    const s = all[at];
    const video = s.part.kind === "video";
    fresh(place, video
      ? el("video", { src: s.url(film(s.part)), poster: s.url(still(s.part)), controls: true, playsinline: true, loop: s.part.presentation === "gif", "aria-label": s.name })
      : el("img", { src: s.url(still(s.part)), alt: s.name }));
    count.textContent = `${at + 1} of ${all.length}${s.part.caption ? ` · ${s.part.caption}` : ""}`;
  }

  document.body.append(dialog);
  show();
  dialog.showModal();
}
