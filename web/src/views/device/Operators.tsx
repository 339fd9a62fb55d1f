import { useState } from "preact/hooks";
import { t } from "../../messages/index.ts";
import { Icon } from "../../parts/Icon.tsx";
import { app, operator, saveSettings } from "../../state/app.ts";
import { preferences } from "../../state/preferences.ts";
import { useStore } from "../../state/store.ts";
import { attempt } from "../../state/toasts.ts";
import { Card } from "../../parts/Card.tsx";

/** The people who teach. The one who is added first in this browser becomes its operator. */
export function Operators() {
  const { operators } = useStore(app).settings;
  const free = operators.reduce((most, one) => Math.max(most, one.number), 0) + 1;
  const [number, setNumber] = useState("");
  const [name, setName] = useState("");
  const value = Number(number || free);
  const used = operators.some((one) => one.number === value);
  const good = Number.isInteger(value) && value >= 1 && value <= 4294967295 && !used;
  const add = () => attempt(async () => {
    await saveSettings({ operators: [...operators, { number: value, name: name.trim() }].sort((a, b) => a.number - b.number) });
    if (operator() === 0) preferences.change({ operator: value });
    setNumber("");
    setName("");
  });
  return (
    <Card id="operators" title={t("device.operators")}>
      <p class="muted small">{t("device.operators.lead")}</p>
      <ul class="lines">
        {operators.map((one) => (
          <li key={one.number}>
            <span class="number">{one.number}</span>
            <span class="grow">{one.name}</span>
            <button
              type="button" class="quiet square" aria-label={t("device.operators.remove", { name: one.name })}
              onClick={() => void attempt(() => saveSettings({ operators: operators.filter((other) => other.number !== one.number) }))}
            ><Icon name="trash" /></button>
          </li>
        ))}
      </ul>
      <form
        class="form inline" onSubmit={(event) => {
          event.preventDefault();
          if (good && name.trim()) void add();
        }}
      >
        <label class="field short">
          <span>{t("device.operators.number")}</span>
          <input inputMode="numeric" value={number} placeholder={String(free)} aria-invalid={!good} onInput={(event) => setNumber(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>{t("device.operators.name")}</span>
          <input value={name} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={!good || !name.trim()}>{t("device.operators.add")}</button>
      </form>
      {!good && <p class="small wrong-text" role="alert">{t("device.operators.bad")}</p>}
    </Card>
  );
}
