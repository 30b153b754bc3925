// The page on which a message is written.
import * as api from "../api.js";
import { announce, el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { kinds as names } from "../text.js";
import { Item, soundOnly } from "./draft.js";
import { dropzone } from "./dropzone.js";
import { people } from "./people.js";
import { recorder } from "./recorder.js";
import { tile } from "./tile.js";

export function compose(about) {
  const items = [];
  const tiles = el("ul", { class: "tiles", "aria-label": "What will be sent" });
  const who = people();
  const caption = el("textarea", { rows: "2", maxlength: "4000", placeholder: "Say something about it", id: "caption" });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const button = el("button", { class: "button primary big", type: "button", id: "send", onclick: send }, icon("send"), "Send");

  async function add(files, given) {
    fresh(trouble);
    const kinds = await Promise.all(files.map(async (file) => given ?? ((await soundOnly(file)) ? "voice" : undefined)));
    for (const [i, file] of files.entries()) {
      const item = new Item(file, kinds[i]);
      const wrong = refused(item, items, about);
      if (wrong) {
        trouble.textContent = wrong;
        continue;
      }
      items.push(item);
      item.addEventListener("change", settle);
      tiles.append(tile(item.upload(), () => remove(item)));
      announce(`${names[item.looks]} ${file.name} added`);
    }
    settle();
  }

  function remove(item) {
    item.remove();
    items.splice(items.indexOf(item), 1);
    tiles.querySelector(`[data-item="${item.id}"]`).remove();
    settle();
    announce(`${item.file.name} removed`);
    node.querySelector("#files").focus();
  }

  function settle() {
    node.classList.toggle("filled", items.length > 0);
    button.disabled = items.length === 0 || items.some((i) => !i.key);
  }

  async function send() {
    button.disabled = true;
    fresh(trouble);
    try {
      const { sender, recipients } = who.get();
      const receipt = await api.send({ sender, recipients, caption: caption.value, items });
      dispatchEvent(new Event("ninefold:changed"));
      location.hash = `#/jobs/${receipt.job_id}`;
    } catch (err) {
      trouble.textContent = err.message;
      settle();
    }
  }

  const node = el(
    "div",
    { class: "compose" },
    el("div", { class: "lead" },
      el("h1", { text: "New message", tabindex: "-1" }),
      el("p", { class: "muted", text: "Send it through the real pipeline and see what each person would get." })),
    el("section", { class: "media", "aria-label": "Media" }, dropzone((files) => add(files), recorder((file) => add([file], "voice"))), tiles),
    el("div", { class: "side" },
      el("section", { class: "card" }, el("label", { class: "field", for: "caption" }, el("span", { class: "h2", text: "Caption" })), caption),
      who.node,
      el("div", { class: "send" }, trouble, button)),
  );
  settle();
  return { node, leave: () => items.forEach((i) => i.remove()) };
}

// refused says what the worker would say anyway, before anything is uploaded.
function refused(item, items, about) {
  const most = about.caps[item.kind] ?? Math.max(...Object.values(about.caps));
  const voices = items.filter((i) => i.looks === "voice").length;
  if (item.file.size === 0) return `${item.file.name} is empty.`;
  if (item.file.size > most) return `${item.file.name} is larger than ${most >> 20} MiB.`;
  if (item.looks === "voice" && voices >= about.limits.voice) return "One voice note a message. Remove the other one first.";
  if (item.looks !== "voice" && items.length - voices >= about.limits.visual) return `At most ${about.limits.visual} photos and videos a message.`;
  return "";
}
