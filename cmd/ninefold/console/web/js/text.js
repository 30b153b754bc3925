// Words and figures for people.

export function bytes(n) {
  if (n >= 1 << 20) return `${(n / (1 << 20)).toFixed(1)} MiB`;
  if (n >= 1 << 10) return `${Math.round(n / (1 << 10))} KiB`;
  return `${n} B`;
}

export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

export const kinds = { photo: "Photo", video: "Video", voice: "Voice note", auto: "File" };
export const ages = { adult: "Adult", "16_17": "16 or 17", under_16: "Under 16", unknown: "Age unknown" };
export const filters = { off: "Filter off", blur: "Filter: blur", hide: "Filter: hide" };
export const contacts = { accepted: "Accepted", new: "New contact", blocked: "Blocked" };

export const actions = {
  deliver: "Delivered",
  blur_reveal: "Blurred, can be shown",
  blur: "Blurred",
  withhold: "Withheld",
  reject: "Not sent",
};

const why = {
  clear: "Nothing in it needs a filter.",
  filter_off: "This adult keeps the filter off.",
  recipient_filter: "Their own filter asks for this.",
  below_level: "Milder than what their filter is for.",
  teen_filter: "Protected at 16 and 17, whatever they set.",
  teen_suggestive: "At 16 and 17 it is blurred first.",
  scan_unavailable: "It could not be scanned, and unknown is never safe.",
  not_classified: "Voice notes are not classified.",
};

export const reason = (code) => why[code] ?? "";

export const states = {
  queued: "Waiting",
  running: "In work",
  retrying: "Trying again soon",
  done: "Done",
  failed: "Given up",
  ready: "Ready",
  partial: "Partly ready",
  rejected: "Rejected",
};

// sentence begins with a capital: messages of the worker are written to follow a code.
export const sentence = (text) => text.replace(/^\p{Ll}/u, (c) => c.toUpperCase());

export const person = (id) => id.replace(/^u_/, "").replace(/^./, (c) => c.toUpperCase());

export function when(iso) {
  const date = new Date(iso);
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
