// The router: #/ writes a message, #/jobs/ID shows one.
import * as api from "./api.js";
import { compose } from "./compose/compose.js";
import { el, fresh } from "./dom.js";
import { message } from "./message/message.js";
import { recent } from "./recent.js";

const main = document.getElementById("main");
let leave = () => {};

function welcome() {
  return {
    node: el(
      "section",
      { class: "empty" },
      el("h1", { text: "Messages", tabindex: "-1" }),
      el("p", { text: "Choose one of the recent messages, or open one by its job id. This console only looks: nothing can be sent from here." }),
    ),
    leave() {},
  };
}

function page(about) {
  const [, where, id] = location.hash.split("/");
  if (where === "jobs" && id) return message(decodeURIComponent(id), about);
  return about.sending ? compose(about) : welcome();
}

function show(about, first) {
  leave();
  const next = page(about);
  leave = next.leave;
  fresh(main, next.node);
  scrollTo(0, 0);
  document.title = `${main.querySelector("h1")?.textContent ?? "Console"} · Ninefold`;
  if (!first) main.querySelector("h1")?.focus();
}

async function start() {
  const about = await api.about();
  document.getElementById("note").textContent = about.note || `Read-only · ${about.version}`;
  document.getElementById("new").hidden = !about.sending;
  document.getElementById("skip").addEventListener("click", () => main.focus());
  const list = recent(document.getElementById("recent"));
  addEventListener("hashchange", () => {
    show(about, false);
    list.refresh();
  });
  show(about, true);
  main.dataset.ready = "yes";
}

start().catch((err) => fresh(main, el("p", { class: "trouble", role: "alert", text: err.message })));
