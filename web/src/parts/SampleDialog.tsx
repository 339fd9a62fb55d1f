import { useState } from "preact/hooks";
import type { Sample } from "../api/types.ts";
import { dateTime, shortHash } from "../logic/format.ts";
import { t } from "../messages/index.ts";
import * as actions from "../state/actions.ts";
import { app, nameOf, operatorName } from "../state/app.ts";
import { createStore, useStore } from "../state/store.ts";
import { Dialog } from "./Dialog.tsx";
import { Icon } from "./Icon.tsx";
import { Picture, samplePath } from "./Picture.tsx";

/** The sample whose dialog is open. */
export const openSample = createStore<Sample | null>(null);
const close = () => openSample.set(null);

/** One sample: its picture, its origin, and what can be done about it. */
export function SampleDialog() {
  const sample = useStore(openSample);
  if (!sample) return null;
  const name = nameOf(sample.class);
  return (
    <Dialog title={t("sample.title", { class: name })} onClose={close} wide>
      <div class="sample">
        <Picture path={samplePath(sample)} size={640} alt={t("sample.picture")} missing={t("sample.noimage")} />
        <div class="stack">
          <dl class="facts">
            <dt>{t("sample.class")}</dt><dd>{name}</dd>
            <dt>{t("sample.by")}</dt><dd>{operatorName(sample.operator)}</dd>
            <dt>{t("sample.when")}</dt><dd>{dateTime(sample.time_s) || t("sample.when.unknown")}</dd>
            <dt>{t("sample.source")}</dt><dd class="mono" title={sample.source}>{shortHash(sample.source)}</dd>
          </dl>
          <MoveForm sample={sample} />
          <button
            class="danger"
            onClick={() => {
              close();
              void actions.forget(sample.source);
            }}
          ><Icon name="trash" />{t("sample.forget")}</button>
        </div>
      </div>
    </Dialog>
  );
}

function MoveForm({ sample }: { sample: Sample }) {
  const { classes } = useStore(app);
  const others = classes?.filter((one) => one.slot !== sample.class) ?? [];
  const [chosen, setChosen] = useState(others[0]?.slot ?? -1);
  if (others.length === 0) return null;
  return (
    <form
      class="form inline" onSubmit={(event) => {
        event.preventDefault();
        close();
        void actions.move(sample.source, sample.class, chosen);
      }}
    >
      <label class="field">
        <span>{t("sample.move")}</span>
        <select value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
          {others.map((one) => <option value={one.slot} key={one.slot}>{one.name}</option>)}
        </select>
      </label>
      <button type="submit">{t("sample.move.go")}</button>
    </form>
  );
}
