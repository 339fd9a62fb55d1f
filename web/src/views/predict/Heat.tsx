import { useEffect, useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import { forPrediction } from "../../logic/shrink.ts";
import { t } from "../../messages/index.ts";
import { LocalImage } from "../../parts/LocalImage.tsx";
import { app } from "../../state/app.ts";

/** What in the image decided, on request: the device embeds hundreds of images for it. */
export function Heat({ image, stamp }: { image: Blob; stamp: string }) {
  const [asked, setAsked] = useState(false);
  const [map, setMap] = useState<Blob | null>(null);
  const [failed, setFailed] = useState(false);
  // Another image or another answer has another map.
  useEffect(() => setAsked(false), [image, stamp]);
  useEffect(() => {
    if (!asked) return;
    let wanted = true;
    setMap(null);
    setFailed(false);
    forPrediction(image, app.value.device?.limits.upload_bytes ?? Infinity)
      .then(calls.heatMap)
      .then((blob) => wanted && setMap(blob), () => wanted && setFailed(true));
    return () => {
      wanted = false;
    };
  }, [asked, image]);
  if (!asked) return <button class="quiet" onClick={() => setAsked(true)}>{t("predict.heat.show")}</button>;
  if (failed) return <p class="small muted" role="status">{t("predict.heat.none")}</p>;
  return (
    <figure>
      <LocalImage image={map} alt={t("predict.heat")} missing={t("predict.heat.none")} />
      <figcaption>{map ? t("predict.heat") : t("predict.waiting")}</figcaption>
    </figure>
  );
}
