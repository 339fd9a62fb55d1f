// A stand-in for the encoder and the classifier: grey values in rings, cosine similarity, class means.
import { createHash } from "node:crypto";
import { readPng, writePng, type Grey } from "../png.ts";

export const INPUT = 64;
const RINGS = 12;

export const sourceOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex").slice(0, 32);

/** The centre square of an image at another size. */
export function square({ width, height, pixels }: Grey, size: number): Uint8Array {
  const side = Math.min(width, height), left = (width - side) / 2, top = (height - side) / 2;
  const out = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    const sx = Math.floor(left + ((x + 0.5) * side) / size), sy = Math.floor(top + ((y + 0.5) * side) / size);
    out[y * size + x] = pixels[sy * width + sx]!;
  }
  return out;
}

export function previewOf(bytes: Buffer): Buffer | null {
  const image = readPng(bytes);
  return image && writePng(INPUT, INPUT, 1, square(image, INPUT));
}

/** A feature of unit length; formats other than PNG get one from their bytes. */
export function featureOf(bytes: Buffer): Float64Array {
  const image = readPng(bytes);
  const values = Float64Array.from(image ? rings(square(image, INPUT)) : createHash("sha512").update(bytes).digest());
  if (!image) values.forEach((value, i) => (values[i] = value - 128));
  const length = Math.hypot(...values) || 1;
  return values.map((value) => value / length);
}

/** Mean and spread of the grey values in rings around the centre. */
function rings(pixels: Uint8Array): Float64Array {
  const counts = new Float64Array(RINGS), sums = new Float64Array(RINGS), squares = new Float64Array(RINGS);
  for (let y = 0; y < INPUT; y++) for (let x = 0; x < INPUT; x++) {
    const ring = Math.min(RINGS - 1, Math.floor((Math.hypot(x + 0.5 - INPUT / 2, y + 0.5 - INPUT / 2) / (INPUT / 2)) * (RINGS - 2)));
    const value = pixels[y * INPUT + x]!;
    counts[ring]!++;
    sums[ring]! += value;
    squares[ring]! += value * value;
  }
  const out = new Float64Array(2 * RINGS), overall = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
  for (let ring = 0; ring < RINGS; ring++) {
    const mean = sums[ring]! / counts[ring]!;
    out[ring] = mean - overall;
    out[RINGS + ring] = 2 * Math.sqrt(Math.max(0, squares[ring]! / counts[ring]! - mean * mean)) - 40;
  }
  return out;
}

export const similarity = (a: Float64Array, b: Float64Array): number => (a.length === b.length ? a.reduce((sum, value, i) => sum + value * b[i]!, 0) : 0);

/** Probability per class: softmax of the similarity to the class means. `null` below two classes. */
export function classify(feature: Float64Array, samples: { class: number; feature: Float64Array }[]): { slots: number[]; probabilities: number[]; nearest: number } | null {
  const slots = [...new Set(samples.map((one) => one.class))].sort((a, b) => a - b);
  if (slots.length < 2) return null;
  const scores = slots.map((slot) => {
    const own = samples.filter((one) => one.class === slot);
    return own.reduce((sum, one) => sum + similarity(feature, one.feature), 0) / own.length;
  });
  const exps = scores.map((score) => Math.exp(score * 6));
  const total = exps.reduce((sum, value) => sum + value, 0);
  return { slots, probabilities: exps.map((value) => value / total), nearest: Math.max(...samples.map((one) => similarity(feature, one.feature))) };
}

/** Below this similarity to every sample an image is unlike everything taught. */
export const KNOWN = 0.955;

/** Wilson's interval at 95 %. */
export function wilson(right: number, of: number): { value: number; low: number; high: number; of: number } | null {
  if (of === 0) return null;
  const z = 1.959964, p = right / of, centre = p + (z * z) / (2 * of), half = z * Math.sqrt((p * (1 - p)) / of + (z * z) / (4 * of * of));
  return { value: p, low: Math.max(0, (centre - half) / (1 + (z * z) / of)), high: Math.min(1, (centre + half) / (1 + (z * z) / of)), of };
}
