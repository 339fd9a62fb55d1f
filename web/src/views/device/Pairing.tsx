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
  const [shown, setShown] = useState<{ offer: Offer; minutes: number | null; qr: Blob | null } | null>(null);
  const show = () => attempt(async () => {
    const [offer, { now_s }] = await Promise.all([calls.pairing(), calls.device()]);
    // By the clock of the device, which may differ from that of this browser.
    const minutes = offer.expires_s === null ? null : Math.max(1, Math.round((offer.expires_s - (now_s || Date.now() / 1000)) / 60));
    setShown({ offer, minutes, qr: drawing(offer.qr_svg) });
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
      {shown && offer?.code && (
        <>
          <p>{offer.url ? t("device.pairing.code", { url: offer.url.replace(/#.*/, "") }) : t("device.pairing.code.only")}</p>
          <p class="code">{offer.code}</p>
          {shown.minutes !== null && <p class="muted small">{t("device.pairing.expires", { n: shown.minutes })}</p>}
        </>
      )}
      <button onClick={() => (shown ? setShown(null) : void show())}>{t(shown ? "device.pairing.hide" : "device.pairing.show")}</button>
    </Card>
  );
}
