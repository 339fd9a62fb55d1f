import type { Sample } from "../api/types.ts";
import { date } from "../logic/format.ts";
import { t } from "../messages/index.ts";
import { nameOf } from "../state/app.ts";
import { Picture, samplePath } from "./Picture.tsx";
import { openSample } from "./SampleDialog.tsx";

/** A small picture of a sample that opens its dialog. */
export function Thumb({ sample, label }: { sample: Sample; label?: string }) {
  const name = label ?? t("sample.open", { class: nameOf(sample.class), when: date(sample.time_s) || t("sample.when.unknown") });
  return (
    <button class="thumb" aria-label={name} title={name} onClick={() => openSample.set(sample)}>
      <Picture path={samplePath(sample)} size={160} alt="" missing={t("sample.noimage")} />
    </button>
  );
}
