// What the policy decided for one viewer, and the row that did.
import { el } from "../dom.js";
import { icon } from "../icon.js";
import { actions, kinds, reason, sentence } from "../text.js";

export function decisions(detail, viewer, view) {
  const card = (title, ...children) => el("section", { class: "card" }, el("h2", { text: title }), ...children);
  if (viewer.id === null) {
    return card("What the sender may know",
      el("p", { class: "muted", text: "Withheld, filtered, blocked and undelivered read alike, so that nobody's age or setting can be told from it." }),
      whole(detail.manifest));
  }
  const mine = detail.decisions.filter((d) => d.recipient_id === viewer.id);
  if (!mine.length) return card(`What decided for ${viewer.name}`, whole(detail.manifest) ?? el("p", { class: "muted", text: "Nothing was decided." }));
  return card(`What decided for ${viewer.name}`, el("ol", { class: "decisions" }, mine.map((d) => line(d, detail.manifest.parts))));
}

// whole tells why a message was refused as a whole; it is for the integrator, never for a sender.
function whole(m) {
  return m.error && el("p", { class: "rule" }, "For operators only: ", el("code", { text: m.error.code }), ` ${sentence(m.error.message)}`);
}

function line(d, parts) {
  const part = parts.find((p) => p.item_id === d.item_id);
  return el("li", { "data-item": d.item_id },
    el("span", { class: "glyph" }, icon(part?.kind ?? "auto")),
    el("div", {},
      el("p", {}, el("strong", { text: `${kinds[part?.kind ?? "auto"]} ${parts.indexOf(part) + 1}` }), " ", el("span", { class: `chip ${d.action}`, text: actions[d.action] ?? d.action })),
      el("p", { class: "muted", text: part?.error ? sentence(part.error.message) : reason(d.reasons[0]) }),
      el("p", { class: "rule" }, d.row > 0 && el("strong", { text: `Row ${d.row} ` }), el("code", { text: d.reasons.join(", ") }), d.row > 0 && d.why && ` ${d.why}`),
      d.rule && el("p", { class: "rule row-of", text: d.rule.replace(/^row \d+: /, "") })));
}
