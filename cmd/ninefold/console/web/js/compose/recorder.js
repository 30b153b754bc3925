// Records a voice note with the microphone.
import { announce, el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { clock } from "../text.js";

const types = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const longest = 600; // seconds; 60 are delivered

export function recorder(done) {
  const node = el("div", { class: "recorder" });
  const idle = () =>
    fresh(node, el("button", { class: "button", type: "button", onclick: start }, icon("mic"), "Record a voice note"));

  async function start() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      idle();
      node.append(el("p", { class: "trouble", role: "alert", text: "The microphone cannot be used. Allow it for this page, or drop a recording." }));
      return;
    }
    record(stream);
  }

  function record(stream) {
    const type = types.find((t) => MediaRecorder.isTypeSupported(t));
    const media = new MediaRecorder(stream, type ? { mimeType: type } : {});
    const chunks = [];
    let keep = false;
    media.ondataavailable = (e) => chunks.push(e.data);
    media.onstop = () => {
      live.stop();
      stream.getTracks().forEach((t) => t.stop());
      idle();
      node.querySelector("button").focus();
      if (keep) done(new File(chunks, "voice note", { type: media.mimeType.split(";")[0] }));
    };
    const end = (k) => () => {
      keep = k;
      media.stop();
    };
    const time = el("span", { class: "time", text: "0:00" });
    const level = el("span", { class: "level", "aria-hidden": "true" });
    const stop = el("button", { class: "button primary", type: "button", onclick: end(true) }, icon("stop"), "Stop and keep");
    fresh(
      node,
      el("div", { class: "recording", role: "group", "aria-label": "Recording" }, el("span", { class: "lamp", "aria-hidden": "true" }), time, level),
      stop,
      el("button", { class: "button", type: "button", onclick: end(false) }, "Discard"),
    );
    const live = meter(stream, level, (seconds) => {
      time.textContent = clock(seconds);
      if (seconds >= longest && media.state === "recording") end(true)();
    });
    media.start(1000);
    stop.focus();
    announce("Recording");
  }

  idle();
  return node;
}

// meter shows how loud it is and tells the seconds.
function meter(stream, level, tick) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const began = performance.now();
  let frame = requestAnimationFrame(draw);
  function draw() {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, v) => sum + v * v, 0) / samples.length;
    level.style.setProperty("--level", Math.min(1, Math.sqrt(power) * 4).toFixed(2));
    tick((performance.now() - began) / 1000);
    frame = requestAnimationFrame(draw);
  }
  return {
    stop() {
      cancelAnimationFrame(frame);
      context.close();
    },
  };
}
