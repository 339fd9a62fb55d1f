// A reader and a writer of 8-bit PNG, enough for the mock server, the icons and the tests.
import { crc32 } from "./crc.ts";
import { deflateSync, inflateSync } from "node:zlib";

export interface Grey { width: number; height: number; pixels: Uint8Array }

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** Bytes of a PNG; `channels` is 1 (grey) or 3 (RGB). */
export function writePng(width: number, height: number, channels: 1 | 3, pixels: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = channels === 3 ? 2 : 0;
  const stride = width * channels;
  const raw = Buffer.alloc((stride + 1) * height);
  for (let y = 0; y < height; y++) raw.set(pixels.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

/** The grey values of an 8-bit PNG without interlacing or palette; null for anything else. */
export function readPng(bytes: Buffer): Grey | null {
  if (bytes.length < 33 || !bytes.subarray(0, 8).equals(SIGNATURE)) return null;
  const width = bytes.readUInt32BE(16), height = bytes.readUInt32BE(20);
  const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[bytes[25]!];
  if (bytes[24] !== 8 || channels === undefined || bytes[28] !== 0) return null;
  const parts: Buffer[] = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = bytes.readUInt32BE(at);
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const raw = unfilter(inflateSync(Buffer.concat(parts)), width * channels, height, channels);
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; i++) {
    const at = i * channels;
    pixels[i] = channels < 3 ? raw[at]! : Math.round((raw[at]! + raw[at + 1]! + raw[at + 2]!) / 3);
  }
  return { width, height, pixels };
}

function unfilter(data: Buffer, stride: number, height: number, step: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const left = x >= step ? out[y * stride + x - step]! : 0;
      const up = y > 0 ? out[(y - 1) * stride + x]! : 0;
      const corner = x >= step && y > 0 ? out[(y - 1) * stride + x - step]! : 0;
      const add = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      out[y * stride + x] = data[y * (stride + 1) + 1 + x]! + add;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const dl = Math.abs(guess - left), du = Math.abs(guess - up), dc = Math.abs(guess - corner);
  return dl <= du && dl <= dc ? left : du <= dc ? up : corner;
}
