// The list of recent messages, refreshed while somebody looks.
import * as api from "./api.js";
import { el, fresh } from "./dom.js";
import { icon } from "./icon.js";
import { kinds, states, when } from "./text.js";

const every = 3000; // milliseconds

export function recent(nav) {
  const list = el("ul", { class: "jobs" });
  const form = byID();
  nav.append(el("h2", { text: "Recent" }), list, form);
  let shown = "";
  async function refresh() {
    if (document.hidden) return;
    const jobs = await api.recent().catch(() => null);
    const now = JSON.stringify([jobs, location.hash]);
    if (!jobs || now === shown) return;
    shown = now;
    fresh(list, jobs.length ? jobs.map(line) : el("li", { class: "none", text: "Nothing yet" }));
  }
  setInterval(refresh, every);
  addEventListener("ninefold:changed", refresh);
  refresh();
  return { refresh };
}

function line(job) {
  const href = `#/jobs/${encodeURIComponent(job.job_id)}`;
  const state = job.status || job.state;
  const what = counted(job.kinds);
  return el(
    "li",
    {},
    el(
      "a",
      { href, "aria-current": location.hash === href ? "page" : null },
      el("span", { class: `dot ${state}`, "aria-hidden": "true" }),
      el("span", { class: "what", text: what || "Message" }),
      el("span", { class: "when", text: `${states[state] ?? state}${job.at ? ` · ${when(job.at)}` : ""}` }),
    ),
  );
}

function counted(list) {
  const n = {};
  for (const k of list) n[k] = (n[k] ?? 0) + 1;
  return Object.entries(n)
    .map(([k, count]) => (count > 1 ? `${count} ${kinds[k].toLowerCase()}s` : kinds[k].toLowerCase()))
    .join(", ")
    .replace(/^./, (c) => c.toUpperCase());
}

function byID() {
  const input = el("input", { type: "text", "aria-label": "Job id", placeholder: "Job id", autocomplete: "off", spellcheck: "false" });
  return el(
    "form",
    {
      class: "byid",
      onsubmit(e) {
        e.preventDefault();
        if (input.value.trim()) location.hash = `#/jobs/${encodeURIComponent(input.value.trim())}`;
      },
    },
    input,
    el("button", { class: "button", "aria-label": "Open this job" }, icon("right")),
  );
}
