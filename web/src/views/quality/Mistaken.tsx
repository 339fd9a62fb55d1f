import type { Quality } from "../../api/types.ts";
import { probability } from "../../logic/format.ts";
import { t } from "../../messages/index.ts";
import { Thumb } from "../../parts/Thumb.tsx";
import { nameOf } from "../../state/app.ts";
import { sampleOf } from "../../state/data.ts";
import { Card } from "../../parts/Card.tsx";

/** Samples that are predicted wrong from the others, worst first. */
export function Mistaken({ quality }: { quality: Quality }) {
  return (
    <Card id="mistaken" title={t("quality.mistaken")}>
      <p class="muted">{t(quality.mistaken.length > 0 ? "quality.mistaken.lead" : "quality.mistaken.none")}</p>
      <ul class="neighbours">
        {quality.mistaken.map((one) => {
          const predicted = one.predicted === null ? t("quality.unknown") : nameOf(one.predicted);
          const sample = sampleOf(one.source) ?? { ...one, operator: 0, time_s: 0 };
          return (
            <li key={one.source}>
              <Thumb sample={sample} label={t("quality.mistaken.as", { class: nameOf(one.class), predicted })} />
              <span class="small">{nameOf(one.class)}</span>
              <strong class="small">→ {predicted}</strong>
              {one.predicted !== null && <span class="small muted">{probability(one.probability)}</span>}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
