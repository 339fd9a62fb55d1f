import type { Neighbour } from "../../api/types.ts";
import { date } from "../../logic/format.ts";
import { locale, t } from "../../messages/index.ts";
import { LocalImage } from "../../parts/LocalImage.tsx";
import { Thumb } from "../../parts/Thumb.tsx";
import { nameOf, operatorName } from "../../state/app.ts";

const similarity = (value: number) => new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);

/** The nearest samples side by side with the image. */
export function Why({ image, neighbours }: { image: Blob; neighbours: Neighbour[] }) {
  return (
    <div class="why">
      <h3>{t("why.title")}</h3>
      <p class="muted small">{neighbours.length > 0 ? t("why.lead") : t("why.none")}</p>
      {neighbours.length > 0 && (
        <ul class="neighbours">
          <li class="own">
            <LocalImage image={image} alt="" missing={t("predict.noimage")} />
            <strong>{t("predict.image")}</strong>
          </li>
          {neighbours.map((one) => (
            <li key={one.source}>
              <Thumb sample={one} />
              <strong>{nameOf(one.class)}</strong>
              <span class="small">{t("why.similarity", { value: similarity(one.similarity) })}</span>
              <span class="small muted">{operatorName(one.operator)}</span>
              <span class="small muted">{date(one.time_s) || t("sample.when.unknown")}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
