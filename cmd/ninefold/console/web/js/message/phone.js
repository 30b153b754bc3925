// A conversation as it looks on one person's phone.
import { el } from "../dom.js";
import { icon } from "../icon.js";
import { person, sentence } from "../text.js";
import { mosaic } from "./mosaic.js";
import { voice } from "./voice.js";

export function phone(m, viewer, view) {
  const mine = viewer.id === null;
  const other = mine ? "Everyone" : person(m.sender_id);
  return el("div", { class: "phone" },
    el("div", { class: "phone-top" }, el("span", { class: "face", "aria-hidden": "true", text: other[0] }), el("span", { class: "name", text: other })),
    el("div", { class: `chat ${mine ? "mine" : "theirs"}` }, content(m, viewer, view, mine)));
}

function content(m, viewer, view, mine) {
  if (view instanceof Error || view === null) return [nothing(mine ? "" : viewer.name)];
  const parts = (mine ? view.media.map((p) => ({ ...p, action: "deliver" })) : view.parts).filter((p) => mine || p.action !== "reject");
  const visual = parts.filter((p) => p.kind !== "voice" && (!mine || p.renditions));
  const spoken = parts.filter((p) => p.kind === "voice" && (!mine || p.renditions));
  const captions = parts.filter((p) => p.caption);
  return [
    visual.length > 0 && el("div", { class: "bubble media" }, mosaic(m.job_id, viewer.id, visual)),
    ...spoken.map((p) => el("div", { class: "bubble" }, voice(m.job_id, viewer.id, p))),
    ...captions.map((p) => el("p", { class: "bubble small", text: p.caption })),
    view.caption && el("p", { class: "bubble text", text: view.caption }),
    mine && notices(view),
  ];
}

function nothing(name) {
  return el("div", { class: "nothing" }, icon("shield"),
    el("p", { text: name ? `Nothing reaches ${name}.` : "Nothing was sent." }),
    el("p", { class: "muted", text: name ? "Their phone shows no trace of this message." : "" }));
}

const told = {
  delivered: ["check", "Delivered"],
  not_delivered: ["alert", "Not delivered to everyone"],
  rejected: ["alert", "Not sent"],
};

// notices is all that a sender is told: the same words for every reason.
function notices(view) {
  const label = (i, n) => (view.items.length > 1 ? `${n + 1}. ` : "");
  const lines = view.items.map((it, n) => {
    const [sign, text] = told[it.status];
    return el("li", { class: it.status, "data-status": it.status }, icon(sign), el("span", { text: `${label(it, n)}${text}${it.error ? `. ${sentence(it.error.message)}` : ""}` }));
  });
  if (view.error) lines.unshift(el("li", { class: "rejected" }, icon("alert"), el("span", { text: sentence(view.error.message) })));
  return el("ul", { class: "notices", "aria-label": "What the sender is told" }, lines);
}
