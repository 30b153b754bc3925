// One item before it is sent: a picture of it, its caption, its edits, its upload.
import { el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { bytes, kinds } from "../text.js";
import { editor } from "./editor.js";

export function tile(item, remove) {
  const name = `${kinds[item.looks]} ${item.file.name}`;
  const state = el("p", { class: "state" });
  const bar = el("div", { class: "bar", "aria-hidden": "true" });
  const node = el(
    "li",
    { class: `tile is-${item.looks}`, "data-item": item.id },
    el("div", { class: "thumb" }, thumb(item), el("span", { class: "badge" }, icon(item.looks), kinds[item.looks]), bar),
    el("div", { class: "tile-body" }, el("p", { class: "file", text: item.file.name }), state, fields(item), tools(item, name, remove)),
  );
  const show = () => {
    bar.style.setProperty("--done", item.sent);
    node.dataset.state = item.error ? "failed" : item.key ? "ready" : "sending";
    fresh(state, stateText(item));
    node.querySelector(".thumb").classList.toggle("edited", item.edited);
  };
  item.addEventListener("change", show);
  show();
  return node;
}

function stateText(item) {
  if (item.error) return el("span", { class: "trouble", role: "alert", text: item.error.message });
  const parts = [bytes(item.file.size)];
  if (!item.key) parts.push(`uploading ${Math.round(item.sent * 100)} %`);
  if (item.edited) parts.push("edited");
  return el("span", { text: parts.join(" · ") });
}

function thumb(item) {
  if (item.looks === "photo") {
    const img = el("img", { src: item.url, alt: "" });
    img.onerror = () => img.replaceWith(el("div", { class: "glyph" }, icon("photo"), el("span", { text: "Your browser cannot show it; the worker can" })));
    return img;
  }
  if (item.looks === "video") return el("video", { src: `${item.url}#t=0.1`, muted: true, preload: "metadata", tabindex: "-1", "aria-hidden": "true" });
  if (item.looks === "voice") return el("audio", { src: item.url, controls: true, "aria-label": `Listen to ${item.file.name}` });
  return el("div", { class: "glyph" }, icon("auto"));
}

function fields(item) {
  const field = (label, key, hint) =>
    el("label", { class: "field small" }, el("span", { text: label }), el("input", {
      type: "text", value: item[key], placeholder: hint, maxlength: "4000", "data-field": key, oninput: (e) => (item[key] = e.target.value),
    }));
  if (item.looks === "voice") return field("Caption", "caption", "Beside the voice note");
  return el("div", { class: "fields" }, field("Caption", "caption", "Beside it, never in it"), field("Description", "alt", "For those who cannot see it"));
}

function tools(item, name, remove) {
  const edit = el("button", { class: "button", type: "button", onclick: () => editor(item), "aria-label": `Crop, rotate or write on ${name}` }, icon("crop"), "Edit");
  const drop = el("button", { class: "button quiet", type: "button", onclick: remove, "aria-label": `Remove ${name}` }, icon("trash"), "Remove");
  return el("div", { class: "row" }, item.looks === "voice" ? null : edit, drop);
}
