// A voice note: play, its waveform, and seeking in it with pointer or keys.
import * as api from "../api.js";
import { el, svg } from "../dom.js";
import { icon } from "../icon.js";
import { clock } from "../text.js";
import { sounds } from "./pick.js";

const bars = 50;
const key = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

export function voice(job, viewer, part) {
  const total = part.duration_ms / 1000;
  const audio = el("audio", { preload: "metadata" },
    sounds(part).map((r) => el("source", { src: api.media(job, viewer, part.item_id, r), type: r.codecs ? `${r.mime}; codecs="${r.codecs}"` : r.mime })));
  const time = el("span", { class: "time", text: clock(total) });
  const button = el("button", { class: "play", type: "button", "aria-label": "Play voice note", onclick: () => (audio.paused ? audio.play() : audio.pause()) }, icon("play"));
  const shape = wave(heights(part.waveform));
  const slider = el("div", {
    class: "wave", role: "slider", tabindex: "0", "aria-label": "Place in the voice note", "aria-valuemin": "0", "aria-valuemax": total.toFixed(1),
  }, shape.node);

  const go = (seconds) => {
    audio.currentTime = Math.min(Math.max(0, seconds), Math.max(0, total - 0.05));
    show();
  };
  slider.addEventListener("keydown", (e) => {
    const to = { Home: 0, End: total }[e.key] ?? (key[e.key] && audio.currentTime + key[e.key] * Math.max(1, total / 20));
    if (to === undefined) return;
    e.preventDefault();
    go(to);
  });
  slider.addEventListener("pointerdown", (e) => {
    const area = slider.getBoundingClientRect();
    const move = (m) => go(((m.clientX - area.left) / area.width) * total);
    slider.setPointerCapture(e.pointerId);
    slider.addEventListener("pointermove", move);
    slider.addEventListener("pointerup", () => slider.removeEventListener("pointermove", move), { once: true });
    move(e);
  });

  function show() {
    const at = audio.currentTime;
    shape.show(total ? at / total : 0);
    time.textContent = clock(audio.paused && at === 0 ? total : at);
    slider.setAttribute("aria-valuenow", at.toFixed(1));
    slider.setAttribute("aria-valuetext", `${clock(at)} of ${clock(total)}`);
  }
  const state = () => {
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
    button.setAttribute("aria-label", audio.paused ? "Play voice note" : "Pause voice note");
    if (!audio.paused) frame();
  };
  const frame = () => {
    show();
    if (!audio.paused && audio.isConnected) requestAnimationFrame(frame);
  };
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, state);
  audio.addEventListener("timeupdate", show);
  audio.addEventListener("ended", () => go(0));
  show();
  return el("div", { class: "voice", "data-item": part.item_id }, button, slider, time, audio, part.silent && el("p", { class: "muted", text: "Nothing to hear in it" }));
}

// heights makes 0..1 of the waveform's bytes, as many as there are bars; the loudest of neighbours stands for them.
function heights(waveform) {
  if (!waveform) return new Array(bars).fill(0.1);
  const data = Uint8Array.from(atob(waveform.data), (c) => c.charCodeAt(0));
  return Array.from({ length: bars }, (_, i) => {
    const from = Math.floor((i * data.length) / bars);
    const to = Math.max(from + 1, Math.floor(((i + 1) * data.length) / bars));
    return Math.max(...data.subarray(from, to)) / 255;
  });
}

function wave(values) {
  const lines = values.map((v, i) => {
    const h = Math.max(2, v * 30);
    return svg("rect", { x: i * 4, y: 16 - h / 2, width: 2.4, height: h, rx: 1.2 });
  });
  return {
    node: svg("svg", { viewBox: `0 0 ${bars * 4 - 1.6} 32`, preserveAspectRatio: "none", "aria-hidden": "true" }, lines),
    show: (share) => lines.forEach((l, i) => l.classList.toggle("played", i < share * bars)),
  };
}
