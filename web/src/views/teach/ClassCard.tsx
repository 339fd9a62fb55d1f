import { useState } from "preact/hooks";
import type { Class, Proportion, Sample } from "../../api/types.ts";
import { t } from "../../messages/index.ts";
import { Interval } from "../../parts/Bar.tsx";
import { Confirm } from "../../parts/Confirm.tsx";
import { DropZone } from "../../parts/DropZone.tsx";
import { Icon } from "../../parts/Icon.tsx";
import { Thumb } from "../../parts/Thumb.tsx";
import { Uploads } from "../../parts/Uploads.tsx";
import { forCamera } from "../../logic/shrink.ts";
import * as actions from "../../state/actions.ts";
import { app } from "../../state/app.ts";
import { attempt } from "../../state/toasts.ts";
import { ClassName } from "./ClassName.tsx";

interface Props { of: Class; samples: Sample[] | null; recall: Proportion | null }

const FEW = 6;
const MANY = 60;

/** A class: its name, its newest samples, how well it is recognised, and a place for more images. */
export function ClassCard({ of, samples, recall }: Props) {
  const [shown, setShown] = useState(FEW);
  const [asking, setAsking] = useState(false);
  const id = `class-${of.slot}`;
  const limit = () => app.value.device?.limits.upload_bytes ?? Infinity;
  return (
    <section class="card class-card" aria-labelledby={id}>
      <div class="card-head">
        <ClassName of={of} id={id} />
        <button class="quiet square" onClick={() => setAsking(true)} aria-label={t("teach.remove", { class: of.name })}><Icon name="trash" /></button>
      </div>
      <div class="class-figures">
        <span>{t("class.samples", { n: of.samples })}</span>
        {recall ? <div class="recall"><span class="muted small">{t("teach.recall")}</span><Interval of={recall} /></div> : <span class="muted small">{t("teach.recall.none")}</span>}
      </div>
      {samples && samples.length > 0 && (
        <>
          <div class="thumbs">{samples.slice(0, shown).map((sample) => <Thumb sample={sample} key={sample.source} />)}</div>
          {samples.length > FEW && (
            <button class="quiet small-button" onClick={() => setShown(shown >= samples.length ? FEW : shown + MANY)} aria-expanded={shown > FEW}>
              {shown >= samples.length ? t("teach.fewer") : t("teach.all", { n: samples.length })}
            </button>
          )}
        </>
      )}
      <Uploads target={`class ${of.slot}`} />
      <DropZone
        compact name={of.name} burst={of.name} onFiles={(files) => void actions.teach(files, of.slot)}
        onPicture={(picture) => void attempt(async () => actions.teach([await forCamera(picture, limit())], of.slot))}
      />
      {asking && (
        <Confirm
          title={t("teach.remove.ask", { class: of.name })} text={t("teach.remove.text", { n: of.samples })} yes={t("teach.remove.yes")}
          onYes={() => void actions.removeClass(of.slot)} onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
