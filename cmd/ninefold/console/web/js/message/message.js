// The page of one message: how it is being processed, then how each person sees it, and why.
import * as api from "../api.js";
import { announce, el, fresh } from "../dom.js";
import { decisions } from "../inspect/decisions.js";
import { document_ } from "../inspect/document.js";
import { files } from "../inspect/files.js";
import { scores } from "../inspect/scores.js";
import { states } from "../text.js";
import { phone } from "./phone.js";
import { progress } from "./progress.js";
import { viewers } from "./viewers.js";

export function message(id, about) {
  const title = el("h1", { text: "Message", tabindex: "-1" });
  const chip = el("span", { class: "chip", id: "state" });
  const body = el("div", { class: "message-body" });
  const node = el("div", { class: "message" }, el("div", { class: "lead row" }, title, chip, el("code", { class: "muted id", text: id })), body);
  let stop = () => {};

  function state(name) {
    chip.className = `chip ${name}`;
    chip.textContent = states[name] ?? name;
  }

  async function load() {
    const detail = await api.job(id);
    if (detail.manifest) return finished(detail);
    const track = progress(detail, about.stages);
    fresh(body, track.node);
    state(detail.state);
    stop = api.follow(id, (status) => {
      state(status.state);
      track.show(status);
      if (status.state === "done") load().catch(failed);
      if (status.state === "failed") failed(new Error(status.last_error || "The job was given up."));
    });
  }

  function finished(detail) {
    state(detail.manifest.status);
    fresh(body, result(detail));
    body.dataset.done = "yes";
    announce(`The message is ${states[detail.manifest.status].toLowerCase()}`);
    dispatchEvent(new Event("ninefold:changed"));
  }

  const failed = (err) => fresh(body, el("p", { class: "trouble card", role: "alert", text: err.message }));
  load().catch(failed);
  return { node, leave: () => stop() };
}

// result is the finished message: on the left what a person sees, on the right why.
function result(detail) {
  const m = detail.manifest;
  const screen = el("div", { class: "screen" });
  const why = el("div", {});
  async function choose(viewer) {
    screen.setAttribute("aria-busy", "true");
    const view = await api.view(m.job_id, viewer.id).catch((err) => err);
    fresh(screen, phone(m, viewer, view));
    fresh(why, decisions(detail, viewer, view));
    screen.removeAttribute("aria-busy");
    screen.dataset.viewer = viewer.id ?? "sender";
  }
  const tabs = viewers(detail, screen, choose);
  return el(
    "div",
    { class: "halves" },
    el("section", { class: "seen", "aria-label": "As each person sees it" }, tabs, screen),
    el("section", { class: "inspect", "aria-label": "Why" }, why, scores(m), files(m), document_("Manifest", m), detail.job && document_("Job", detail.job)),
  );
}
