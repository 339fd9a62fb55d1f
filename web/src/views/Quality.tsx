import { t } from "../messages/index.ts";
import { Interval } from "../parts/Bar.tsx";
import { PointFigures } from "../parts/PointFigures.tsx";
import { app } from "../state/app.ts";
import { useStore } from "../state/store.ts";
import { useQuality, useSamples } from "../state/data.ts";
import { Confusion } from "./quality/Confusion.tsx";
import { Goal } from "./quality/Goal.tsx";
import { Mistaken } from "./quality/Mistaken.tsx";
import { PerClass } from "./quality/PerClass.tsx";
import { Card } from "../parts/Card.tsx";

export function Quality() {
  const quality = useQuality();
  const point = useStore(app).device?.operating_point ?? null;
  useSamples();
  return (
    <>
      <header class="view-head">
        <h1>{t("quality.title")}</h1>
        <p class="lead">{quality && quality.left_out > 1 ? t("quality.lead.groups", { n: quality.left_out }) : t("quality.lead")}</p>
      </header>
      {quality && !quality.balanced_accuracy && <section class="card empty"><p>{t("quality.few")}</p></section>}
      {quality?.balanced_accuracy && (
        <>
          <Card id="balanced" title={t("quality.balanced")} class="summary">
            <Interval of={quality.balanced_accuracy} />
            <p class="muted small">{t("quality.evaluated", { evaluated: quality.evaluated, samples: quality.samples })}</p>
          </Card>
          <PerClass quality={quality} />
          <Confusion quality={quality} />
        </>
      )}
      {point && <Card id="point" title={t("point.title")}><PointFigures point={point} /></Card>}
      <Goal />
      {quality?.balanced_accuracy && <Mistaken quality={quality} />}
    </>
  );
}
