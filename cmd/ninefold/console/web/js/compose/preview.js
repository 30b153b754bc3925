// Draws how the edits will look. It is a sketch: the worker's own drawing decides.

const side = 360; // pixels

export function preview(canvas, source, edits) {
  const width = source.naturalWidth ?? source.videoWidth;
  const height = source.naturalHeight ?? source.videoHeight;
  if (!width || !height) return;
  const { x, y, w, h } = edits.crop;
  const cut = { x: x * width, y: y * height, w: w * width, h: h * height };
  const upright = edits.rotate % 180 === 0;
  const [ow, oh] = upright ? [cut.w, cut.h] : [cut.h, cut.w];
  const scale = side / Math.max(ow, oh);
  canvas.width = Math.round(ow * scale);
  canvas.height = Math.round(oh * scale);
  const g = canvas.getContext("2d");
  g.save();
  g.translate(canvas.width / 2, canvas.height / 2);
  if (edits.flip) g.scale(-1, 1);
  g.rotate((edits.rotate * Math.PI) / 180);
  g.drawImage(source, cut.x, cut.y, cut.w, cut.h, (-cut.w * scale) / 2, (-cut.h * scale) / 2, cut.w * scale, cut.h * scale);
  g.restore();
  if (edits.text) write(g, canvas, edits);
}

function write(g, canvas, { text, position, style }) {
  const size = Math.max(14, canvas.height * 0.07);
  g.font = `600 ${size}px system-ui, sans-serif`;
  g.textAlign = "center";
  g.textBaseline = "middle";
  const at = { top: size, middle: canvas.height / 2, bottom: canvas.height - size }[position];
  if (style === "bar") {
    g.fillStyle = "rgb(0 0 0 / 0.55)";
    g.fillRect(0, at - size * 0.8, canvas.width, size * 1.6);
  } else {
    g.lineWidth = size / 6;
    g.strokeStyle = "rgb(0 0 0 / 0.8)";
    g.strokeText(text, canvas.width / 2, at, canvas.width * 0.94);
  }
  g.fillStyle = "#fff";
  g.fillText(text, canvas.width / 2, at, canvas.width * 0.94);
}
