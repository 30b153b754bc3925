// The files that were made.
import * as api from "../api.js";
import { el } from "../dom.js";
import { bytes, kinds } from "../text.js";

export function files(m) {
  const made = m.parts.flatMap((p, i) => (p.renditions ?? []).map((r) => ({ part: p, index: i, r })));
  if (!made.length) return null;
  const total = made.reduce((n, f) => n + f.r.size, 0);
  return el("details", { class: "card" },
    el("summary", {}, el("h2", { text: "Files" }), el("span", { class: "muted", text: `${made.length}, ${bytes(total)}` })),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Files" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Part", "Rendition", "Type", "Pixels", "Size"].map((h) => el("th", { scope: "col", text: h })))),
      el("tbody", {}, made.map((f) => row(m, f))))));
}

function row(m, { part, index, r }) {
  const type = r.mime.replace(/^\w+\//, "") + (r.codecs ? ` ${r.codecs}` : "");
  return el("tr", {},
    el("td", { text: `${kinds[part.kind]} ${index + 1}` }),
    el("td", {}, el("a", { href: api.media(m.job_id, null, part.item_id, r), target: "_blank", rel: "noopener", text: r.name }), r.class === "safe" && el("span", { class: "chip", text: "safe" })),
    el("td", { text: type }), el("td", { text: r.width ? `${r.width} × ${r.height}` : "" }), el("td", { text: bytes(r.size) }));
}
