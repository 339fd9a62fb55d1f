// Images drawn by code: a disc, a ring or stripes on a soft background, each different.
import { writePng } from "../png.ts";

export const KINDS = ["disc", "ring", "stripes", "noise"] as const;
export type Kind = (typeof KINDS)[number];

/** Random numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

/** The PNG of a phantom; the same for the same kind and seed. */
export function phantom(kind: Kind, seed: number, size = 96): Buffer {
  const next = random(seed * 7919 + KINDS.indexOf(kind));
  const x0 = size * (0.42 + 0.16 * next()), y0 = size * (0.42 + 0.16 * next()), radius = size * (0.2 + 0.1 * next());
  const angle = next() * 0.6, period = size * (0.1 + 0.04 * next()), level = 60 + 40 * next();
  const pixels = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    const distance = Math.hypot(x - x0, y - y0);
    const along = (x * Math.cos(angle) + y * Math.sin(angle)) / period;
    const shape = {
      disc: distance < radius ? 110 : 0,
      ring: Math.abs(distance - radius) < size * 0.05 ? 120 : 0,
      stripes: 70 * Math.max(0, Math.sin(along * Math.PI * 2)),
      noise: 150 * next(),
    }[kind];
    const vignette = 40 * Math.hypot(x / size - 0.5, y / size - 0.5);
    pixels[y * size + x] = Math.max(0, Math.min(255, level + shape - vignette + 14 * (next() - 0.5)));
  }
  return writePng(size, size, 1, pixels);
}
