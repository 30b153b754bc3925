// The editor of one photo or video: crop, rotate, mirror, words on the picture. What it makes are numbers; the worker does the work.
import { el, fresh, uid } from "../dom.js";
import { icon } from "../icon.js";
import { cropBox } from "./crop.js";
import { preview } from "./preview.js";

const whole = () => ({ x: 0, y: 0, w: 1, h: 1 });
const isWhole = (r) => r.x < 0.002 && r.y < 0.002 && r.w > 0.996 && r.h > 0.996;

export function editor(item) {
  const work = { ...item.edits, crop: { ...(item.edits.crop ?? whole()) } };
  const source = picture(item);
  const stage = el("div", { class: "stage" }, source);
  const result = el("canvas", { class: "result", role: "img", "aria-label": "How it will look" });
  const redraw = () => preview(result, source, work);
  const numbers = cropFields(() => work.crop, (next) => crop.put(next));
  const crop = cropBox(stage, work.crop, () => {
    numbers.show();
    redraw();
  });
  stage.append(crop.node);
  for (const event of ["load", "loadeddata", "seeked"]) source.addEventListener(event, redraw);

  const title = uid("editor");
  const dialog = el(
    "dialog",
    { class: "editor", "aria-labelledby": title },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: title, text: `Edit ${item.file.name}` }),
      el("div", { class: "benches" }, el("div", { class: "bench" }, stage, numbers.node), el("div", { class: "bench" }, result, controls(work, redraw))),
      el(
        "div",
        { class: "row end" },
        el("button", { class: "button quiet", type: "button", onclick: () => crop.put(whole()) }, "Whole picture"),
        el("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { class: "button primary", value: "keep" }, icon("check"), "Keep these edits"),
      ),
    ),
  );
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "keep") item.change({ edits: { ...work, crop: isWhole(work.crop) ? null : rounded(work.crop) } });
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  crop.node.focus();
  redraw();
}

// rounded keeps four digits: finer than a pixel of anything we take.
function rounded({ x, y, w, h }) {
  const cut = (v) => Math.floor(v * 1e4) / 1e4;
  return { x: cut(x), y: cut(y), w: cut(w), h: cut(h) };
}

function picture(item) {
  if (item.looks === "video") return el("video", { src: `${item.url}#t=0.1`, muted: true, preload: "auto", "aria-hidden": "true" });
  return el("img", { src: item.url, alt: "" });
}

function cropFields(get, put) {
  const inputs = {};
  const field = (key, label) => {
    inputs[key] = el("input", {
      type: "number", min: "0", max: "100", step: "1", "data-crop": key, onchange: (e) => put({ ...get(), [key]: Number(e.target.value) / 100 }),
    });
    return el("label", { class: "field small" }, el("span", { text: label }), inputs[key]);
  };
  const node = el("fieldset", { class: "numbers" }, el("legend", { class: "unseen", text: "Crop in percent" }),
    field("x", "Left %"), field("y", "Top %"), field("w", "Width %"), field("h", "Height %"));
  const show = () => Object.entries(inputs).forEach(([key, input]) => (input.value = Math.round(get()[key] * 100)));
  return { node, show };
}

function controls(work, redraw) {
  const turn = el("button", { class: "button", type: "button", onclick: () => set({ rotate: (work.rotate + 90) % 360 }) }, icon("rotate"), "Rotate");
  const mirror = el("button", { class: "button", type: "button", onclick: () => set({ flip: !work.flip }) }, icon("flip"), "Mirror");
  const words = el("input", { type: "text", maxlength: "500", value: work.text, "data-field": "burned", oninput: (e) => set({ text: e.target.value }) });
  const choice = (key, label, options) => {
    const select = el("select", { onchange: (e) => set({ [key]: e.target.value }) }, options.map((o) => el("option", { value: o, text: o })));
    select.value = work[key];
    return el("label", { class: "field small" }, el("span", { text: label }), select);
  };
  const said = el("p", { class: "muted", role: "status" });
  function set(values) {
    Object.assign(work, values);
    mirror.setAttribute("aria-pressed", String(work.flip));
    fresh(said, work.rotate ? `Rotated by ${work.rotate}° clockwise` : "");
    redraw();
  }
  set({});
  return el(
    "div",
    { class: "controls" },
    el("div", { class: "row" }, turn, mirror),
    said,
    el("label", { class: "field" }, el("span", { text: "Words on the picture" }), words),
    el("div", { class: "row" }, choice("position", "Where", ["top", "middle", "bottom"]), choice("style", "How", ["bar", "outline"])),
  );
}
