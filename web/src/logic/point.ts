import type { OperatingPoint, OperatingPointReport, Prediction, Target } from "../api/types.ts";
import { t } from "../messages/index.ts";
import { percent, score } from "./format.ts";

type NameOf = (slot: number) => string;

/** "sensitivity of at least 95%", "least cost, a missed one 20, a false alarm 1". */
export function targetText(target: Target): string {
  switch (target.kind) {
    case "sensitivity":
      return t("point.at.sensitivity", { share: percent(target.share, 1) });
    case "specificity":
      return t("point.at.specificity", { share: percent(target.share, 1) });
    case "costs":
      return t("point.at.costs", { missed: target.missed, alarm: target.false_alarm });
  }
}

/** "malignant: sensitivity of at least 95%". */
export const pointText = ({ class: slot, target }: OperatingPoint, nameOf: NameOf): string =>
  t("point.of", { class: nameOf(slot), target: targetText(target) });

/** What new images are promised, or why there is no threshold; null for costs, which promise nothing. */
export function promiseText(point: OperatingPointReport, nameOf: NameOf): string | null {
  if (point.threshold === null) return t("point.open", { class: nameOf(point.class) });
  if (point.promise === null) return null;
  const share = percent(point.promise, 1);
  return point.enough ? t("point.promise", { share }) : t("point.few", { share, n: point.samples_needed });
}

/** The decision at the operating point, and the numbers behind it; null without an operating point. */
export function decisionAt(answer: Pick<Prediction, "positive" | "score" | "operating_point">, nameOf: NameOf): { text: string; detail: string } | null {
  const point = answer.operating_point;
  if (!point) return null;
  const values = { class: nameOf(point.class) };
  if (point.threshold === null || answer.score === null) return { text: t("point.open", values), detail: pointText(point, nameOf) };
  const numbers = t("point.score", { score: score(answer.score), threshold: score(point.threshold) });
  const text = answer.positive === null ? t("point.undecided", values) : t(answer.positive ? "point.positive" : "point.negative", values);
  return { text, detail: `${pointText(point, nameOf)}. ${numbers}` };
}

/** A target as it is written in the form; null if a value is out of range. */
export function readTarget(kind: Target["kind"], share: number | null, costs: readonly string[]): Target | null {
  if (kind !== "costs") return share === null || share < 0.001 || share > 0.999 ? null : { kind, share };
  const [missed, false_alarm] = costs.map((text) => (/^\d{1,5}$/.test(text.trim()) ? Number(text) : 0));
  const fits = (cost: number | undefined): cost is number => cost !== undefined && cost >= 1 && cost <= 10_000;
  return fits(missed) && fits(false_alarm) ? { kind, missed, false_alarm } : null;
}
