// Where files are dropped, chosen or pasted.
import { el } from "../dom.js";
import { icon } from "../icon.js";

export function dropzone(add, extra) {
  const input = el("input", {
    type: "file",
    id: "files",
    class: "unseen",
    multiple: true,
    accept: "image/*,video/*,audio/*,.heic,.heif,.avif,.amr,.caf,.mkv",
    onchange() {
      add([...input.files]);
      input.value = "";
    },
  });
  const zone = el(
    "div",
    { class: "drop" },
    el("div", { class: "drop-art", "aria-hidden": "true" }, icon("photo"), icon("video"), icon("voice")),
    el("p", { class: "drop-title", text: "Drop photos, videos or a voice note" }),
    el("p", { class: "muted", text: "Up to nine photos and videos and one voice note. HEIC, AVIF, GIF, MOV, WebM: whatever a phone makes." }),
    el("div", { class: "row centre" }, input, el("label", { class: "button primary", for: "files" }, icon("plus"), "Choose files"), extra),
  );
  zone.addEventListener("dragover", (e) => {
    e.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (e) => {
    e.preventDefault();
    zone.classList.remove("over");
    add([...e.dataTransfer.files]);
  });
  return zone;
}
