import type { OperatingPointReport } from "../api/types.ts";
import { score } from "../logic/format.ts";
import { pointText, promiseText } from "../logic/point.ts";
import { t } from "../messages/index.ts";
import { nameOf } from "../state/app.ts";
import { Interval } from "./Bar.tsx";

/** An operating point with its threshold, what it does to the samples, and what it promises. */
export function PointFigures({ point }: { point: OperatingPointReport }) {
  const { target } = point;
  const promise = promiseText(point, nameOf);
  return (
    <>
      <p><strong>{pointText(point, nameOf)}</strong></p>
      {point.threshold !== null && (
        <>
          <dl class="facts">
            <dt>{t("point.threshold")}</dt><dd>{score(point.threshold)}</dd>
            <dt>{t("quality.sensitivity")}</dt>
            <dd><Interval of={point.sensitivity} target={target.kind === "sensitivity" ? target.share : undefined} /></dd>
            <dt>{t("quality.specificity")}</dt>
            <dd><Interval of={point.specificity} target={target.kind === "specificity" ? target.share : undefined} /></dd>
          </dl>
          <p class="muted small">{t("point.measured", { class: nameOf(point.class) })}</p>
        </>
      )}
      {promise && <p class="small">{promise}</p>}
    </>
  );
}
