import { useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import type { Pairing as Offer } from "../../api/types.ts";
import { t } from "../../messages/index.ts";
import { LocalImage } from "../../parts/LocalImage.tsx";
import { attempt } from "../../state/toasts.ts";
import { Card } from "../../parts/Card.tsx";

/** The drawing of the QR code as a file: shown by `<img>`, so that nothing in it can run. */
const drawing = (svg: string | null) => (svg ? new Blob([svg], { type: "image/svg+xml" }) : null);

/** How another phone is paired. The code is fetched when it is asked for, because it expires. */
export function Pairing() {
  const [shown, setShown] = useState<{ offer: Offer; qr: Blob | null } | null>(null);
  const show = () => attempt(async () => {
    const offer = await calls.pairing();
    setShown({ offer, qr: drawing(offer.qr_svg) });
  });
  const offer = shown?.offer;
  return (
    <Card id="pairing" title={t("device.pairing")}>
      {offer && !offer.code && !offer.qr_svg && <p class="muted">{t("device.pairing.none")}</p>}
      {shown?.qr && (
        <div class="qr">
          <LocalImage image={shown.qr} alt="QR" missing="QR" />
          <p>{t("device.pairing.scan")}</p>
        </div>
      )}
      {offer?.code && (
        <>
          <p>{offer.url ? t("device.pairing.code", { url: offer.url.replace(/#.*/, "") }) : t("device.pairing.code.only")}</p>
          <p class="code">{offer.code}</p>
          {offer.expires_s !== null && <p class="muted small">{t("device.pairing.expires", { n: Math.max(1, Math.round(offer.expires_s / 60)) })}</p>}
        </>
      )}
      <button onClick={() => (shown ? setShown(null) : void show())}>{t(shown ? "device.pairing.hide" : "device.pairing.show")}</button>
    </Card>
  );
}
