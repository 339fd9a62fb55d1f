import { locale } from "../messages/index.ts";
import type { Proportion } from "../api/types.ts";

const number = (value: number, options: Intl.NumberFormatOptions) => new Intl.NumberFormat(locale(), options).format(value);

export const percent = (value: number, digits = 0) => number(value, { style: "percent", maximumFractionDigits: digits });

/** A probability in whole per cent; never "100 %" or "0 %" for what is not certain. */
export function probability(value: number): string {
  if (value < 1 && value > 0.99) return `>\u2009${percent(0.99)}`;
  if (value > 0 && value < 0.01) return `<\u2009${percent(0.01)}`;
  return percent(value);
}

/** A score, which may be below 0. */
export const score = (value: number) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "negative" });

/** "84% (71–92%)". */
export function interval(p: Proportion): string {
  return `${percent(p.value)} (${number(Math.round(p.low * 100), {})}–${percent(p.high)})`;
}

/** A size in binary units, because storage on the device is counted in powers of two. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${number(count, { maximumFractionDigits: unit > 0 && count < 10 ? 1 : 0 })}\u00a0${units[unit]}`;
}

export function dateTime(seconds: number): string {
  return seconds > 0 ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(seconds * 1000) : "";
}

export function date(seconds: number): string {
  return seconds > 0 ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(seconds * 1000) : "";
}

/** "A, B or C" in the language of the page. */
export function either(names: string[]): string {
  return new Intl.ListFormat(locale(), { type: "disjunction" }).format(names);
}

/** The first characters of a hash, in groups that can be read aloud. */
export function shortHash(hash: string, groups = 3): string {
  return (hash.match(/.{1,4}/g) ?? []).slice(0, groups).join("\u00a0");
}

/** A proportion that is written as per cent in a form field; null if the text is no number from 0 to 100. */
export function readPercent(text: string): number | null {
  const value = Number(text.trim().replace(",", ".").replace(/\s*%$/, ""));
  return text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 100 ? null : Math.round(value * 1000) / 100_000;
}
