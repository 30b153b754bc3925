// What the classifier saw: scores of each part, and over time where there are many frames.
import { el } from "../dom.js";
import { kinds } from "../text.js";
import { plot } from "./plot.js";

const names = ["explicit", "drawn", "suggestive"];

export function scores(m) {
  const seen = m.parts.filter((p) => p.moderation && p.moderation.status !== "skipped");
  if (!seen.length) return null;
  return el("section", { class: "card" }, el("h2", { text: "What the classifier saw" }), seen.map((p) => one(p, m.parts.indexOf(p))));
}

function one(part, index) {
  const f = part.moderation;
  const frames = f.frames;
  return el("div", { class: "scores", "data-item": part.item_id },
    el("p", {}, el("strong", { text: `${kinds[part.kind]} ${index + 1}` }), " ", el("span", { class: `chip ${f.level}`, text: f.level }),
      frames && el("span", { class: "muted", text: ` ${frames.scored} of ${frames.planned} frames` })),
    frames?.timeline ? plot(frames, part.duration_ms) : f.scores ? meters(f.scores) : el("p", { class: "muted", text: `No scores: ${f.status}` }),
    f.model && el("p", { class: "muted model" }, el("code", { text: f.model.id })));
}

function meters(values) {
  return el("dl", { class: "meters" }, names.map((n) => {
    const bar = el("span", { class: `meter ${n}`, "aria-hidden": "true" });
    bar.style.setProperty("--value", values[n]);
    return el("div", {}, el("dt", { text: n }), el("dd", {}, bar, el("span", { text: values[n].toFixed(3) })));
  }));
}
