import { useRef, useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import { t } from "../../messages/index.ts";
import { Icon } from "../../parts/Icon.tsx";
import { stepText, undoLast } from "../../state/actions.ts";
import { app, operator, refresh } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { attempt, say } from "../../state/toasts.ts";
import { Card } from "../../parts/Card.tsx";

/** The state as a file: out and in. */
export function Transfer() {
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const during = (action: () => Promise<void>) => {
    setBusy(true);
    void attempt(action).finally(() => setBusy(false));
  };
  return (
    <Card id="transfer" title={t("device.transfer")}>
      <p class="muted">{t("device.transfer.lead")}</p>
      <div class="row">
        <button disabled={busy} onClick={() => during(exportState)}>{t("device.export")}</button>
        <button disabled={busy} onClick={() => input.current?.click()}>{t("device.import")}</button>
      </div>
      <input
        ref={input} type="file" hidden accept=".zip,application/zip" aria-label={t("device.import")}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = "";
          if (file) during(() => importState(file));
        }}
      />
      {busy && <progress aria-label={t("device.transfer")} />}
    </Card>
  );
}

async function exportState(): Promise<void> {
  const url = URL.createObjectURL(await calls.exportState());
  const link = document.createElement("a");
  link.href = url;
  link.download = `macula-${new Date().toISOString().slice(0, 10)}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function importState(file: File): Promise<void> {
  const { learned, known, classes_added } = await calls.importState(file, operator());
  await refresh();
  say(t("device.imported", { n: learned, known, classes: classes_added }));
}

/** The last step of the device and its undo. */
export function LastStep() {
  const { device } = useStore(app);
  return (
    <Card id="last-step" title={t("device.undo")}>
      {device?.undo ? (
        <>
          <p>{stepText(device.undo)}</p>
          <button onClick={() => void undoLast(device.revision)}><Icon name="undo" />{t("undo")}</button>
        </>
      ) : <p class="muted">{t("device.undo.none")}</p>}
    </Card>
  );
}
