// Tabs: the message as each person sees it.
import { el, uid } from "../dom.js";
import { ages, filters, person } from "../text.js";

export function viewers(detail, panel, choose) {
  const m = detail.manifest;
  const known = new Map((detail.job?.recipients ?? []).map((r) => [r.id, r]));
  const recipients = known.size ? [...known.keys()] : m.deliveries.map((d) => d.recipient_id);
  const people = [
    ...recipients.map((id) => ({ id, name: person(id), about: describe(known.get(id)) })),
    { id: null, name: person(m.sender_id), about: "Sender" },
  ];
  panel.id = uid("screen");
  panel.setAttribute("role", "tabpanel");
  const tabs = people.map((p) => {
    const tab = el("button", {
      class: "tab", type: "button", role: "tab", id: uid("tab"), "aria-controls": panel.id, "data-viewer": p.id ?? "sender", onclick: () => pick(p),
    }, el("span", { class: "name", text: p.name }), el("span", { class: "about", text: p.about }));
    return tab;
  });
  function pick(p) {
    tabs.forEach((t, i) => {
      t.setAttribute("aria-selected", String(people[i] === p));
      t.tabIndex = people[i] === p ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", tabs[people.indexOf(p)].id);
    choose(p);
  }
  const list = el("div", {
    class: "tabs", role: "tablist", "aria-label": "See it as",
    onkeydown(e) {
      const at = tabs.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      const next = (to + tabs.length) % tabs.length;
      tabs[next].focus();
      pick(people[next]);
    },
  }, tabs);
  pick(people[0]);
  return list;
}

function describe(r) {
  if (!r) return "Recipient";
  return r.age_band === "adult" ? `${ages.adult} · ${filters[r.nudity_filter].toLowerCase()}` : ages[r.age_band];
}
