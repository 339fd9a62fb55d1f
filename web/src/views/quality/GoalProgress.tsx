import type { Proportion, Settings } from "../../api/types.ts";
import { percent } from "../../logic/format.ts";
import { goalState } from "../../logic/goal.ts";
import { t } from "../../messages/index.ts";
import { Interval } from "../../parts/Bar.tsx";
import { app, nameOf } from "../../state/app.ts";
import { useQuality } from "../../state/data.ts";
import { useStore } from "../../state/store.ts";
import { Card } from "../../parts/Card.tsx";

/** How far the goal is; nothing without a goal. */
export function GoalProgress({ bare = false }: { bare?: boolean }) {
  const { goal } = useStore(app).settings;
  if (!goal) return null;
  return bare ? <Lines goal={goal} /> : <Card id="goal-progress" title={t("goal.title")}><Lines goal={goal} /></Card>;
}

// A component of its own, so that quality is computed only where there is a goal.
function Lines({ goal }: { goal: NonNullable<Settings["goal"]> }) {
  const figures = useQuality()?.classes.find((one) => one.slot === goal.class);
  return (
    <div class="goal">
      <Line measure={t("quality.sensitivity")} slot={goal.class} of={figures?.sensitivity ?? null} target={goal.sensitivity} />
      <Line measure={t("quality.specificity")} slot={goal.class} of={figures?.specificity ?? null} target={goal.specificity} />
    </div>
  );
}

function Line({ measure, slot, of, target }: { measure: string; slot: number; of: Proportion | null; target: number }) {
  const state = goalState(of, target);
  return (
    <div class="goal-line">
      <p>{t("goal.of", { class: nameOf(slot), measure, target: percent(target, 1) })}: <strong>{t(`goal.${state}`)}</strong></p>
      {of && <Interval of={of} target={target} />}
    </div>
  );
}
