import type { Prediction } from "../api/types.ts";
import { t } from "../messages/index.ts";
import { either, percent } from "./format.ts";

export type Answer = Pick<Prediction, "decision" | "class" | "known" | "set" | "enough" | "shots_needed">;
type NameOf = (slot: number) => string;

/** The answer in large words: "Pneumonia", "Pneumonia or normal", "I don't know", "Teach two classes first". */
export function headline(answer: Answer, nameOf: NameOf): string {
  switch (answer.decision) {
    case "class":
      return answer.class === null ? t("predict.unknown") : nameOf(answer.class);
    case "several":
      return either(answer.set.map(nameOf));
    case "unknown":
      return t("predict.unknown");
    case "untaught":
      return t("predict.untaught");
  }
}

/** One sentence below the headline. */
export function reason(answer: Answer): string {
  switch (answer.decision) {
    case "class":
      return t("predict.why.class");
    case "several":
      return t("predict.why.several");
    case "unknown":
      return t(answer.known ? "predict.why.none" : "predict.why.unlike");
    case "untaught":
      return t("predict.why.untaught");
  }
}

/** What the prediction set promises at this error rate; null where there is no set to speak of. */
export function promise(answer: Answer, errorRate: number): { text: string; holds: boolean } | null {
  // The promise holds for images like those taught; an empty list beside "I don't know" says nothing more.
  if (answer.decision === "untaught" || answer.decision === "unknown" || !answer.known) return null;
  if (!answer.enough) return { text: t("predict.set.few", { n: answer.shots_needed, rate: percent(errorRate, 1) }), holds: false };
  // Error rates below 1 % are whole numbers only per 1,000 images.
  const whole = Number.isInteger(Math.round(errorRate * 1e6) / 1e4);
  return { text: t("predict.set", whole ? { of: 100, n: Math.round(errorRate * 100) } : { of: 1000, n: Math.round(errorRate * 1000) }), holds: true };
}
