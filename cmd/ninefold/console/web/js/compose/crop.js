// The crop rectangle over a picture: dragged, sized by its corners, or moved and sized with the arrow keys. All in fractions.
import { el } from "../dom.js";

const least = 0.05; // of a side
const corners = ["nw", "ne", "sw", "se"];
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));

export function cropBox(stage, rect, changed) {
  const box = el(
    "div",
    { class: "crop-box", tabindex: "0", role: "group", "aria-label": "Crop. Arrow keys move it, with Shift they size it." },
    corners.map((c) => el("span", { class: `handle ${c}`, "data-corner": c })),
  );

  function put(next) {
    const w = clamp(next.w, least, 1);
    const h = clamp(next.h, least, 1);
    Object.assign(rect, { w, h, x: clamp(next.x, 0, 1 - w), y: clamp(next.y, 0, 1 - h) });
    for (const [side, v] of [["left", rect.x], ["top", rect.y], ["width", rect.w], ["height", rect.h]]) {
      box.style.setProperty(side, `${v * 100}%`);
    }
    changed(rect);
  }

  box.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!step) return;
    e.preventDefault();
    const [dx, dy] = step.map((v) => v * 0.02);
    put(e.shiftKey ? { ...rect, w: rect.w + dx, h: rect.h + dy } : { ...rect, x: rect.x + dx, y: rect.y + dy });
  });

  box.addEventListener("pointerdown", (e) => {
    e.preventDefault();
    box.focus();
    box.setPointerCapture(e.pointerId);
    const from = { ...rect };
    const corner = e.target.dataset.corner ?? "";
    const area = stage.getBoundingClientRect();
    const move = (m) => put(dragged(from, corner, (m.clientX - e.clientX) / area.width, (m.clientY - e.clientY) / area.height));
    box.addEventListener("pointermove", move);
    box.addEventListener("pointerup", () => box.removeEventListener("pointermove", move), { once: true });
  });

  put(rect);
  return { node: box, put };
}

// dragged is the rectangle after a corner, or all of it, was moved by a fraction of the picture.
function dragged(from, corner, dx, dy) {
  if (!corner) return { ...from, x: from.x + dx, y: from.y + dy };
  const next = { ...from };
  if (corner.includes("w")) {
    next.x = clamp(from.x + dx, 0, from.x + from.w - least);
    next.w = from.x + from.w - next.x;
  } else next.w = clamp(from.w + dx, least, 1 - from.x);
  if (corner.includes("n")) {
    next.y = clamp(from.y + dy, 0, from.y + from.h - least);
    next.h = from.y + from.h - next.y;
  } else next.h = clamp(from.h + dy, least, 1 - from.y);
  return next;
}
