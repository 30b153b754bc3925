// Scores over the time of a video: a plot to look at, and the same figures as a table.
import { el, svg } from "../dom.js";
import { clock } from "../text.js";

const names = ["explicit", "drawn", "suggestive"];
const box = { width: 560, height: 150, left: 28, right: 8, top: 8, bottom: 20 };

export function plot(frames, duration) {
  const t = frames.timeline;
  const end = Math.max(duration || 0, t.at_ms.at(-1), 1);
  const x = (ms) => box.left + (ms / end) * (box.width - box.left - box.right);
  const y = (v) => box.height - box.bottom - v * (box.height - box.top - box.bottom);
  const peak = Math.max(...t.explicit);
  const readout = el("p", { class: "readout muted", text: `Highest explicit score ${peak.toFixed(3)} at ${clock(frames.max_at_ms / 1000)}` });
  const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.height - box.bottom, x1: -9, x2: -9 });
  const drawing = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, role: "img", "aria-label": summary(t, frames) },
    [0, 0.5, 1].map((v) => [
      svg("line", { class: "grid", x1: box.left, x2: box.width - box.right, y1: y(v), y2: y(v) }),
      svg("text", { x: box.left - 6, y: y(v) + 3.5, "text-anchor": "end", text: String(v) }),
    ]),
    frames.segments.map((s) => svg("rect", { class: `segment ${s.level}`, x: x(s.start_ms) - 2, width: x(s.end_ms) - x(s.start_ms) + 4, y: box.top, height: box.height - box.top - box.bottom })),
    [0, 0.5, 1].map((v) => svg("text", { x: x(end * v), y: box.height - 5, "text-anchor": ["start", "middle", "end"][v * 2], text: clock((end * v) / 1000) })),
    names.toReversed().map((n) => svg("polyline", { class: `line ${n}`, points: t.at_ms.map((ms, i) => `${x(ms).toFixed(1)},${y(t[n][i]).toFixed(1)}`).join(" ") })),
    t.at_ms.map((ms, i) => svg("circle", { class: "spot", cx: x(ms), cy: y(t.explicit[i]), r: 1.8 })),
    cursor);
  drawing.addEventListener("pointermove", (e) => {
    const area = drawing.getBoundingClientRect();
    const ms = (((e.clientX - area.left) / area.width) * box.width - box.left) / (box.width - box.left - box.right) * end;
    const i = t.at_ms.reduce((best, at, k) => (Math.abs(at - ms) < Math.abs(t.at_ms[best] - ms) ? k : best), 0);
    for (const side of ["x1", "x2"]) cursor.setAttribute(side, x(t.at_ms[i]));
    readout.textContent = `${clock(t.at_ms[i] / 1000)}: ${names.map((n) => `${n} ${t[n][i].toFixed(3)}`).join(", ")}`;
  });
  return el("figure", { class: "plot" }, drawing,
    el("figcaption", {}, el("ul", { class: "legend" }, names.map((n) => el("li", { class: n, text: n }))), readout),
    el("details", {}, el("summary", { text: "As a table" }), table(t)));
}

function summary(t, frames) {
  const highest = names.map((n) => `${n} at most ${Math.max(...t[n]).toFixed(2)}`).join(", ");
  return `Scores of ${frames.scored} frames over time: ${highest}`;
}

function table(t) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores as a table" },
    el("table", {}, el("thead", {}, el("tr", {}, ["at", ...names].map((n) => el("th", { scope: "col", text: n })))),
      el("tbody", {}, t.at_ms.map((ms, i) => el("tr", {}, el("td", { text: `${(ms / 1000).toFixed(2)} s` }), names.map((n) => el("td", { text: t[n][i].toFixed(3) })))))));
}
