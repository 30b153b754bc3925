// Where each item is, live.
import { announce, el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { kinds } from "../text.js";

const waits = { queued: "Waiting for a worker", running: "Fetched, decoded once, screened and checked before anything is stored" };

export function progress(detail, stages) {
  const items = detail.job?.items ?? [];
  const rows = new Map(items.map((it, i) => [it.id, row(it, i, stages)]));
  const said = el("p", { class: "muted", role: "status" });
  const node = el("section", { class: "card progress", "aria-label": "Progress" },
    el("h2", { text: "Stages" }), said, el("ol", { class: "tracks" }, [...rows.values()].map((r) => r.node)));
  let last = "";
  function show(status) {
    for (const p of status.items) rows.get(p.item_id)?.show(p);
    const now = status.state === "retrying" ? `Trying again soon: ${status.last_error}` : (waits[status.state] ?? "");
    if (now !== last) {
      fresh(said, now);
      announce(now);
    }
    last = now;
  }
  show(detail);
  return { node, show };
}

function row(item, index, stages) {
  const steps = stages.map((s) => el("li", { class: "step", "data-stage": s, title: s }));
  const now = el("span", { class: "now", text: "waiting" });
  const bar = el("div", {
    class: "track", role: "progressbar", "aria-label": `Item ${index + 1}`, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0",
  }, el("ol", { class: "steps", "aria-hidden": "true" }, steps));
  const node = el("li", { class: "item", "data-item": item.id },
    el("span", { class: "glyph" }, icon(item.kind)),
    el("span", { class: "name", text: `${kinds[item.kind]} ${index + 1}` }), now, bar);
  let reached = -1;
  return {
    node,
    show({ stage, percent }) {
      const at = stages.indexOf(stage);
      if (at < reached) return;
      reached = at;
      steps.forEach((s, i) => s.style.setProperty("--done", i < at ? 1 : i === at ? percent / 100 : 0));
      steps.forEach((s, i) => s.classList.toggle("at", i === at));
      now.textContent = percent > 0 && percent < 100 ? `${stage} ${Math.round(percent)} %` : stage;
      bar.setAttribute("aria-valuenow", String(Math.round(((at + percent / 100) / stages.length) * 100)));
      bar.setAttribute("aria-valuetext", now.textContent);
      node.dataset.seen = `${node.dataset.seen ?? ""} ${stage}`;
    },
  };
}
