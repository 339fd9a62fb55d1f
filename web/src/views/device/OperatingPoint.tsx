import { useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import type { Target } from "../../api/types.ts";
import { readPercent } from "../../logic/format.ts";
import { readTarget } from "../../logic/point.ts";
import { t } from "../../messages/index.ts";
import { Card } from "../../parts/Card.tsx";
import { PointFigures } from "../../parts/PointFigures.tsx";
import { app, refresh } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { attempt, say } from "../../state/toasts.ts";

const KINDS = ["sensitivity", "specificity", "costs"] as const;

/** The operating point of the device and its form. */
export function OperatingPoint() {
  const { device, classes } = useStore(app);
  const [editing, setEditing] = useState(false);
  const point = device?.operating_point ?? null;
  const canEdit = !editing && classes !== null && classes.length > 1;
  return (
    <Card id="point" title={t("point.title")} action={canEdit && <button type="button" onClick={() => setEditing(true)}>{t(point ? "point.edit" : "point.set")}</button>}>
      {!point && !editing && <p class="muted">{t("point.none")}</p>}
      {point && !editing && <PointFigures point={point} />}
      {editing && <Form onClose={() => setEditing(false)} />}
    </Card>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const { device, classes } = useStore(app);
  const point = device?.operating_point ?? null;
  const target = point?.target;
  const [slot, setSlot] = useState(point?.class ?? classes?.[0]?.slot ?? 0);
  const [kind, setKind] = useState<Target["kind"]>(target?.kind ?? "sensitivity");
  const [share, setShare] = useState(String(Math.round((target && target.kind !== "costs" ? target.share : 0.95) * 1000) / 10));
  const [missed, setMissed] = useState(String(target?.kind === "costs" ? target.missed : 10));
  const [alarm, setAlarm] = useState(String(target?.kind === "costs" ? target.false_alarm : 1));
  const wanted = readTarget(kind, readPercent(share), [missed, alarm]);
  const save = async (change: () => Promise<unknown>) => {
    const done = await attempt(async () => {
      await change();
      await refresh();
    });
    if (!done) return;
    say(t("saved"));
    onClose();
  };
  const number = (label: string, value: string, set: (text: string) => void) => (
    <label class="field">
      <span>{label}</span>
      <input inputMode="decimal" value={value} aria-invalid={wanted === null} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
  return (
    <form
      class="form" onSubmit={(event) => {
        event.preventDefault();
        if (wanted) void save(() => calls.setOperatingPoint({ class: slot, target: wanted }));
      }}
    >
      <label class="field">
        <span>{t("point.class")}</span>
        <select value={slot} onChange={(event) => setSlot(Number(event.currentTarget.value))}>
          {classes?.map((one) => <option value={one.slot} key={one.slot}>{one.name}</option>)}
        </select>
      </label>
      <label class="field">
        <span>{t("point.kind")}</span>
        <select value={kind} onChange={(event) => setKind(event.currentTarget.value as Target["kind"])}>
          {KINDS.map((one) => <option value={one} key={one}>{t(`point.kind.${one}`)}</option>)}
        </select>
      </label>
      {kind !== "costs" && number(t("point.share"), share, setShare)}
      {kind === "costs" && number(t("point.missed"), missed, setMissed)}
      {kind === "costs" && number(t("point.alarm"), alarm, setAlarm)}
      <p class="muted small">{t("point.help")}</p>
      {!wanted && <p class="small wrong-text" role="alert">{t("point.bad")}</p>}
      <div class="row">
        <button type="submit" class="primary" disabled={!wanted}>{t("save")}</button>
        <button type="button" onClick={onClose}>{t("cancel")}</button>
        {point && <button type="button" class="quiet" onClick={() => void save(calls.clearOperatingPoint)}>{t("point.remove")}</button>}
      </div>
    </form>
  );
}
