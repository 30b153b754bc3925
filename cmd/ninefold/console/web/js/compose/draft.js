// Draft items: what a person is about to send, with its upload and its edits.
import * as api from "../api.js";

let made = 0;

// kindOf guesses only so far as the limit on the upload goes; the worker looks at the bytes. What may be an animation stays open.
function kindOf(file) {
  const [family] = file.type.split("/");
  if (family === "audio") return "voice";
  if (family === "video") return "video";
  return file.type === "image/jpeg" ? "photo" : "auto";
}

// head is how much of a WebM is read, bytes: its tracks stand before the first sound.
const head = 64 * 1024;

// soundOnly tells a voice note as browsers record it from a video: the system says "video/webm" of every .webm.
export async function soundOnly(file) {
  if (!/^video\/(webm|x-matroska)/.test(file.type)) return false;
  const text = new TextDecoder("latin1").decode(await file.slice(0, head).arrayBuffer());
  return /A_(OPUS|VORBIS)/.test(text) && !/V_(VP8|VP9|AV1|MPEG)/.test(text);
}

const looks = (file) => {
  const [family] = file.type.split("/");
  return { image: "photo", video: "video", audio: "voice" }[family] ?? "auto";
};

export class Item extends EventTarget {
  constructor(file, kind = kindOf(file)) {
    super();
    this.id = `i${++made}`;
    this.file = file;
    this.kind = kind;
    this.looks = kind === "voice" ? "voice" : looks(file);
    this.url = URL.createObjectURL(file);
    this.caption = "";
    this.alt = "";
    this.edits = { crop: null, rotate: 0, flip: false, text: "", position: "bottom", style: "bar" };
    this.sent = 0; // of the upload, 0 to 1
    this.key = "";
    this.error = null;
  }

  // upload begins at once: it is done by the time somebody has written a caption.
  upload() {
    this.transfer = api.upload(this.file, this.kind, (done) => this.change({ sent: done }));
    this.ready = this.transfer.done.then(
      (up) => this.change({ key: up.key, sent: 1 }),
      (error) => error.name !== "AbortError" && this.change({ error }),
    );
    return this;
  }

  change(values) {
    Object.assign(this, values);
    this.dispatchEvent(new Event("change"));
  }

  remove() {
    this.transfer?.stop();
    URL.revokeObjectURL(this.url);
  }

  get edited() {
    const e = this.edits;
    return Boolean(e.crop || e.rotate || e.flip || e.text);
  }

  // list is the edits in the order in which they are applied.
  list() {
    const { crop, rotate, flip, text, position, style } = this.edits;
    return [
      crop && { op: "crop", ...crop },
      rotate && { op: "rotate", degrees: rotate },
      flip && { op: "flip", direction: "horizontal" },
      text && { op: "caption", text, position, style },
    ].filter(Boolean);
  }

  toJSON() {
    return { id: this.id, kind: this.kind, source: { key: this.key }, caption: this.caption, alt: this.alt, edits: this.list() };
  }
}
