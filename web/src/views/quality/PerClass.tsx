import type { Quality } from "../../api/types.ts";
import { t } from "../../messages/index.ts";
import { Interval } from "../../parts/Bar.tsx";
import { app, nameOf } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { Card } from "../../parts/Card.tsx";
import { Scroll } from "../../parts/Scroll.tsx";

/** Sensitivity and specificity of each class with their intervals drawn. */
export function PerClass({ quality, id = "perclass" }: { quality: Quality; id?: string }) {
  const { goal } = useStore(app).settings;
  return (
    <Card id={id} title={t("quality.perclass")}>
      <Scroll by={id}>
        <table class="figures-table">
          <thead>
            <tr>
              <th scope="col">{t("quality.class")}</th>
              <th scope="col">{t("quality.sensitivity")}</th>
              <th scope="col">{t("quality.specificity")}</th>
            </tr>
          </thead>
          <tbody>
            {quality.classes.map((one) => (
              <tr key={one.slot}>
                <th scope="row">{nameOf(one.slot)}<div class="small muted">{t("class.samples", { n: one.samples })}</div></th>
                <td><Interval of={one.sensitivity} target={goal?.class === one.slot ? goal.sensitivity : undefined} /></td>
                <td><Interval of={one.specificity} target={goal?.class === one.slot ? goal.specificity : undefined} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  );
}
