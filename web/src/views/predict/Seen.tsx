import { useEffect, useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import { forPrediction } from "../../logic/shrink.ts";
import { t } from "../../messages/index.ts";
import { LocalImage } from "../../parts/LocalImage.tsx";
import { app } from "../../state/app.ts";

/** The image as the encoder sees it; nothing if the server does not know. */
export function Seen({ image }: { image: Blob }) {
  const [seen, setSeen] = useState<Blob | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let wanted = true;
    setSeen(null);
    setFailed(false);
    forPrediction(image, app.value.device?.limits.upload_bytes ?? Infinity)
      .then(calls.preview)
      .then((blob) => wanted && setSeen(blob), () => wanted && setFailed(true));
    return () => {
      wanted = false;
    };
  }, [image]);
  if (failed) return null;
  return (
    <figure class="seen">
      <LocalImage image={seen} alt={t("predict.sees")} missing={t("predict.nosee")} />
      <figcaption>{t("predict.sees")}</figcaption>
    </figure>
  );
}
