// Draws the icons of the manifest. Run once: node build/icons.mjs (the compressor of another Node may give other bytes, so they are committed).
import { writeFileSync } from "node:fs";
import { writePng } from "./png.ts";

for (const size of [192, 512]) {
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    const radius = (Math.hypot(x + 0.5 - size / 2, y + 0.5 - size / 2) / size) * 64;
    const edge = (distance: number) => Math.max(0, Math.min(1, (distance * size) / 64 + 0.5));
    const ring = Math.min(edge(radius - 15), edge(19 - radius));
    const white = Math.max(ring, edge(7 - radius));
    pixels.set([11, 103, 112].map((value) => Math.round(value + (255 - value) * white)), (y * size + x) * 3);
  }
  writeFileSync(`static/icon-${size}.png`, writePng(size, size, 3, pixels));
}
