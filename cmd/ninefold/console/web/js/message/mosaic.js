// Photos and videos of one message, side by side.
import * as api from "../api.js";
import { calm, el } from "../dom.js";
import { icon } from "../icon.js";
import { clock, kinds } from "../text.js";
import { lightbox } from "./lightbox.js";
import { film, small, still } from "./pick.js";
import { cover, withheld } from "./shield.js";

export function mosaic(job, viewer, parts) {
  const url = (part, rendition) => rendition && api.media(job, viewer, part.item_id, rendition);
  const shown = parts.map((p) => ({ part: p, open: p.action === "deliver", name: describe(p, parts), url: (r) => url(p, r) }));
  const box = el("div", { class: `mosaic of${Math.min(parts.length, 9)}` });
  const cells = shown.map((s, i) => cell(s, () => lightbox(shown.filter((x) => x.open), s), i, shown.length === 1));
  box.append(...cells);
  return box;
}

const describe = (p, parts) => p.alt || p.caption || `${kinds[p.kind]} ${parts.indexOf(p) + 1} of ${parts.length}`;

function cell(s, enlarge, index, alone) {
  const frame = el("div", { class: `cell ${s.part.action}`, "data-item": s.part.item_id, "data-action": s.part.action });
  frame.style.setProperty("--color", s.part.placeholder?.color ?? "transparent");
  if (s.part.width && s.part.height) frame.style.setProperty("--ratio", Math.min(2, Math.max(0.6, s.part.width / s.part.height)));
  const full = () => (alone && s.part.kind === "video" ? player(s) : thumb(s, enlarge));
  if (s.part.action === "withhold" || s.part.action === "reject") frame.append(withheld(s.part));
  else if (s.part.action === "deliver") frame.append(full());
  else frame.append(cover(s, full));
  return frame;
}

// thumb opens the lightbox.
function thumb(s, enlarge) {
  const picture = small(s.part) ?? still(s.part);
  const moving = s.part.presentation === "gif" && !calm();
  const inside = moving
    ? el("video", { src: s.url(film(s.part)), poster: s.url(picture), autoplay: true, loop: true, muted: true, playsinline: true })
    : el("img", { src: s.url(picture), alt: "" });
  const badge = s.part.kind === "video" && el("span", { class: "badge", "aria-hidden": "true" }, icon("play"), s.part.presentation === "gif" ? "GIF" : clock(s.part.duration_ms / 1000));
  return el("button", { class: "open", type: "button", "aria-label": `Open: ${s.name}`, onclick: enlarge }, inside, badge);
}

// player is a video by itself.
function player(s) {
  const gif = s.part.presentation === "gif";
  return el("video", {
    controls: !gif || calm(), autoplay: gif && !calm(), loop: gif, muted: gif, playsinline: true, preload: "metadata",
    poster: s.url(still(s.part)), src: s.url(film(s.part)), "aria-label": s.name,
  });
}
