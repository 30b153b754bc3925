// Chooses among a part's renditions.

const named = (part, names, cls) => {
  for (const name of names) {
    const found = (part.renditions ?? []).filter((r) => r.name === name && (!cls || r.class === cls));
    if (found.length) return found.find((r) => r.default) ?? found[0];
  }
  return null;
};

export const safe = (part) => (part.renditions ?? []).find((r) => r.class === "safe" && r.mime.startsWith("image/")) ?? null;
export const still = (part) => named(part, ["poster", "display", "preview", "thumb"], "full");
export const small = (part) => named(part, ["preview", "grid", "poster", "display", "thumb"], "full");
export const film = (part) => named(part, ["playback"], "full");
export const sounds = (part) => (part.renditions ?? []).filter((r) => r.mime.startsWith("audio/"));
