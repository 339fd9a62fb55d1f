import { t } from "../messages/index.ts";
import { app } from "../state/app.ts";
import { useStore } from "../state/store.ts";
import { Audit } from "./device/Audit.tsx";
import { Bundle, EncoderCard, Memory } from "./device/Facts.tsx";
import { ErrorRate } from "./device/ErrorRate.tsx";
import { OperatingPoint } from "./device/OperatingPoint.tsx";
import { Operators } from "./device/Operators.tsx";
import { PageSettings } from "./device/PageSettings.tsx";
import { Pairing } from "./device/Pairing.tsx";
import { LastStep, Transfer } from "./device/Transfer.tsx";
import { Card } from "../parts/Card.tsx";

export function Device() {
  const { device } = useStore(app);
  return (
    <>
      <header class="view-head">
        <h1>{t("device.title")}</h1>
        {device && <p class="lead">{device.name}</p>}
      </header>
      <div class="cards flow">
        {device && (
          <>
            <EncoderCard device={device} />
            <Memory device={device} />
            <Bundle device={device} />
          </>
        )}
        <LastStep />
        <ErrorRate />
        <OperatingPoint />
        <Operators />
        <Card id="record" title={t("device.record")}>
          <p class="muted">{t("device.record.lead")}</p>
          <a class="button" href="#record">{t("device.record.open")}</a>
        </Card>
        <Transfer />
        <Pairing />
        <PageSettings />
      </div>
      <Audit />
    </>
  );
}
