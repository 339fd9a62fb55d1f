import { useEffect, useState } from "preact/hooks";
import { readPercent } from "../../logic/format.ts";
import { t } from "../../messages/index.ts";
import { app, saveSettings } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { attempt, say } from "../../state/toasts.ts";

const written = (rate: number) => String(Math.round(rate * 1000) / 10);

/** The error rate of prediction sets. */
export function ErrorRate() {
  const { error_rate } = useStore(app).settings;
  const [text, setText] = useState(written(error_rate));
  useEffect(() => setText(written(error_rate)), [error_rate]);
  const value = readPercent(text);
  const bad = value === null || value < 0.001 || value > 0.5;
  return (
    <form
      class="card" aria-labelledby="rate" onSubmit={(event) => {
        event.preventDefault();
        if (!bad) void attempt(() => saveSettings({ error_rate: value })).then((done) => done && say(t("saved")));
      }}
    >
      <h2 id="rate">{t("device.rate")}</h2>
      <label class="field narrow">
        <span>{t("device.rate.label")}</span>
        <input inputMode="decimal" value={text} aria-invalid={bad} aria-describedby="rate-help" onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <p id="rate-help" class="muted small">{t("device.rate.help")}</p>
      {bad && <p class="small wrong-text" role="alert">{t("device.rate.bad")}</p>}
      <button type="submit" disabled={bad || value === error_rate}>{t("save")}</button>
    </form>
  );
}
