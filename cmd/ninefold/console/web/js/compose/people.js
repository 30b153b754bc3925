// Who sends and who receives.
import { announce, el, fresh } from "../dom.js";
import { icon } from "../icon.js";
import { ages, contacts, filters, person } from "../text.js";

const names = ["ada", "ben", "kim", "lou", "mia", "noa", "oki", "pia", "rio", "sam"];

const start = () => ({
  sender: { id: "u_you", age_band: "adult" },
  recipients: [
    { id: "u_ada", age_band: "adult", contact: "accepted", nudity_filter: "off" },
    { id: "u_ben", age_band: "adult", contact: "accepted", nudity_filter: "blur" },
    { id: "u_kim", age_band: "16_17", contact: "accepted", nudity_filter: "off" },
  ],
});

// kept is what was chosen last: the next message goes to the same people.
let kept = start();

export function people() {
  const list = el("ul", { class: "people" });
  const select = (label, options, value, change) => {
    const s = el("select", { "aria-label": label, onchange: (e) => change(e.target.value) },
      Object.entries(options).map(([v, text]) => el("option", { value: v, text })));
    s.value = value;
    return s;
  };

  function row(r) {
    const name = person(r.id);
    const drop = el("button", {
      class: "button quiet square", type: "button", "aria-label": `Remove ${name}`, disabled: kept.recipients.length === 1,
      onclick() {
        kept.recipients = kept.recipients.filter((x) => x !== r);
        show();
        announce(`${name} removed`);
        add.focus();
      },
    }, icon("close"));
    return el("li", { "data-person": r.id },
      el("span", { class: "face", "aria-hidden": "true", text: name[0] }),
      el("span", { class: "name", text: name }),
      drop,
      el("div", { class: "choices" },
        select(`Age of ${name}`, ages, r.age_band, (v) => (r.age_band = v)),
        select(`Contact of ${name}`, contacts, r.contact, (v) => (r.contact = v)),
        select(`Filter of ${name}`, filters, r.nudity_filter, (v) => (r.nudity_filter = v))));
  }

  const show = () => fresh(list, kept.recipients.map(row));
  const add = el("button", {
    class: "button", type: "button",
    onclick() {
      const free = names.find((n) => !kept.recipients.some((r) => r.id === `u_${n}`)) ?? `person${kept.recipients.length + 1}`;
      kept.recipients.push({ id: `u_${free}`, age_band: "adult", contact: "accepted", nudity_filter: "off" });
      show();
      list.lastElementChild.querySelector("select").focus();
    },
  }, icon("plus"), "Add someone");
  show();

  const node = el("section", { class: "card" },
    el("h2", { text: "From" }),
    el("div", { class: "from" }, el("span", { class: "face you", "aria-hidden": "true", text: "Y" }), el("span", { class: "name", text: "You" }),
      select("Your age", ages, kept.sender.age_band, (v) => (kept.sender.age_band = v))),
    el("h2", { text: "To" }), list, add);
  return { node, get: () => kept };
}
