import { svg } from "./dom.js";

// Strokes on a 24 × 24 grid.
const paths = {
  plus: "M12 5v14M5 12h14",
  mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3",
  stop: "M7 7h10v10H7Z",
  crop: "M6 2v14a2 2 0 0 0 2 2h14M2 6h14a2 2 0 0 1 2 2v14",
  rotate: "M20 4v6h-6M20 10a8 8 0 1 0 1 6",
  flip: "M12 3v18M8 7l-5 5 5 5ZM16 7l5 5-5 5Z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  play: "M8 5v14l11-7Z",
  pause: "M8 5v14M16 5v14",
  eye: "M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7S2 12 2 12ZM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  hidden: "M3 3l18 18M10.6 5.1A10 10 0 0 1 12 5c6.500 0 10 7 10 7a17 17 0 0 1-3.200 4.100M6.500 6.600A17 17 0 0 0 2 12s3.500 7 10 7a10 10 0 0 0 4.500-1.100M10 10a3 3 0 0 0 4.200 4.200",
  lock: "M6 11h12v9H6ZM8 11V8a4 4 0 0 1 8 0v3",
  check: "M5 12.500l4.500 4.500L19 7",
  alert: "M12 4 2.500 20h19ZM12 10v4M12 17h.01",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6 6 18",
  photo: "M4 5h16v14H4ZM4 16l5-5 4 4 3-3 4 4M15.500 9h.01",
  video: "M3 6h12v12H3ZM15 10l6-3v10l-6-3",
  voice: "M4 10v4M8 7v10M12 4v16M16 8v8M20 10v4",
  auto: "M7 3h7l5 5v13H7ZM14 3v5h5",
  copy: "M9 9h11v11H9ZM5 15H4V4h11v1",
  send: "M4 12 20 4l-5 16-3-7Z",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4 21a8 8 0 0 1 16 0",
  shield: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6Z",
};

// icon draws one of paths; it says nothing to a screen reader, the control's own name does.
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", { d: paths[name] ?? paths.auto }),
  );
}
