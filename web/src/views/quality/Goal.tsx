import { useState } from "preact/hooks";
import { readPercent } from "../../logic/format.ts";
import { t } from "../../messages/index.ts";
import { Card } from "../../parts/Card.tsx";
import { app, saveSettings } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { attempt, say } from "../../state/toasts.ts";
import { GoalProgress } from "./GoalProgress.tsx";

/** The goal of teaching and its form. */
export function Goal() {
  const { settings, classes } = useStore(app);
  const [editing, setEditing] = useState(false);
  const { goal } = settings;
  return (
    <Card
      id="goal" title={t("goal.title")}
      action={!editing && classes && classes.length > 0 && <button type="button" onClick={() => setEditing(true)}>{t(goal ? "goal.edit" : "goal.set")}</button>}
    >
      {!goal && !editing && <p class="muted">{t("goal.none")}</p>}
      {goal && !editing && <GoalProgress bare />}
      {editing && <Form onClose={() => setEditing(false)} />}
    </Card>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const { settings, classes } = useStore(app);
  const { goal } = settings;
  const [slot, setSlot] = useState(goal?.class ?? classes?.[0]?.slot ?? 0);
  const [sensitivity, setSensitivity] = useState(String(Math.round((goal?.sensitivity ?? 0.9) * 1000) / 10));
  const [specificity, setSpecificity] = useState(String(Math.round((goal?.specificity ?? 0.8) * 1000) / 10));
  const targets = [readPercent(sensitivity), readPercent(specificity)];
  const bad = targets.includes(null);
  const save = async (value: typeof goal) => {
    if (await attempt(() => saveSettings({ goal: value }))) {
      say(t("saved"));
      onClose();
    }
  };
  return (
    <form
      class="form" onSubmit={(event) => {
        event.preventDefault();
        if (!bad) void save({ class: slot, sensitivity: targets[0]!, specificity: targets[1]! });
      }}
    >
      <label class="field">
        <span>{t("goal.class")}</span>
        <select value={slot} onChange={(event) => setSlot(Number(event.currentTarget.value))}>
          {classes?.map((one) => <option value={one.slot} key={one.slot}>{one.name}</option>)}
        </select>
      </label>
      <label class="field">
        <span>{t("goal.sensitivity")}</span>
        <input inputMode="decimal" value={sensitivity} aria-invalid={targets[0] === null} onInput={(event) => setSensitivity(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{t("goal.specificity")}</span>
        <input inputMode="decimal" value={specificity} aria-invalid={targets[1] === null} onInput={(event) => setSpecificity(event.currentTarget.value)} />
      </label>
      {bad && <p class="small wrong-text" role="alert">{t("goal.bad")}</p>}
      <div class="row">
        <button type="submit" class="primary" disabled={bad}>{t("save")}</button>
        <button type="button" onClick={onClose}>{t("cancel")}</button>
        {goal && <button type="button" class="quiet" onClick={() => void save(null)}>{t("goal.remove")}</button>}
      </div>
    </form>
  );
}
