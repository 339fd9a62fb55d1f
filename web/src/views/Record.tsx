import type { Class, Sample } from "../api/types.ts";
import { date, dateTime } from "../logic/format.ts";
import { summarise } from "../logic/record.ts";
import { t } from "../messages/index.ts";
import { Picture, samplePath } from "../parts/Picture.tsx";
import { app, nameOf, operatorName } from "../state/app.ts";
import { useQuality, useSamples } from "../state/data.ts";
import { useStore } from "../state/store.ts";
import { Confusion } from "./quality/Confusion.tsx";
import { PerClass } from "./quality/PerClass.tsx";
import { Card } from "../parts/Card.tsx";
import { Scroll } from "../parts/Scroll.tsx";

/** A page to print and sign: what was taught, by whom, when, and how good it is. */
export function Record() {
  const { device, classes } = useStore(app);
  const samples = useSamples();
  const quality = useQuality();
  if (!device || !classes || !samples) return <p class="muted">{t("app.loading")}</p>;
  return (
    <article class="record">
      <div class="row no-print">
        <button class="primary" onClick={() => print()}>{t("record.print")}</button>
        <a class="button" href="#device">{t("record.back")}</a>
      </div>
      <h1>{t("record.title")}</h1>
      <dl class="facts">
        <dt>{t("record.date")}</dt><dd>{dateTime(device.now_s || Date.now() / 1000)}</dd>
        <dt>{t("record.device")}</dt><dd>{device.name}, {device.program}</dd>
        <dt>{t("record.encoder")}</dt><dd>{device.encoder.name ?? t("device.encoder.unnamed")} <span class="mono break">{device.encoder.identity}</span></dd>
        <dt>{t("record.hash")}</dt><dd class="mono break">{device.state_sha256}</dd>
      </dl>
      <Card id="record-classes" title={t("record.summary")}>
        <Summary samples={samples} classes={classes} />
      </Card>
      {quality?.balanced_accuracy && (
        <>
          <p class="record-note">{t("record.quality")}</p>
          <PerClass quality={quality} />
          <Confusion quality={quality} />
        </>
      )}
      {classes.map((one) => <Pictures key={one.slot} of={one} samples={samples.filter((sample) => sample.class === one.slot)} />)}
      <p class="muted small">{t("app.notice")}</p>
      <p class="signature">{t("record.signature")}</p>
    </article>
  );
}

function Summary({ samples, classes }: { samples: Sample[]; classes: Class[] }) {
  return (
    <Scroll by="record-classes">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("quality.class")}</th><th scope="col">{t("record.by")}</th><th scope="col" class="number">{t("quality.samples")}</th>
            <th scope="col">{t("record.from")}</th><th scope="col">{t("record.to")}</th>
          </tr>
        </thead>
        <tbody>
          {summarise(classes, samples).map((line) => (
            <tr key={`${line.slot} ${line.operator}`}>
              <th scope="row">{nameOf(line.slot)}</th><td>{line.operator === null ? "–" : operatorName(line.operator)}</td><td class="number">{line.samples}</td>
              <td>{date(line.from)}</td><td>{date(line.to)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Enough for a reader to see what the class looks like; the counts above are complete. */
const PICTURES = 48;

function Pictures({ of, samples }: { of: Class; samples: Sample[] }) {
  const shown = samples.slice(0, PICTURES);
  const id = `record-${of.slot}`;
  return (
    <Card id={id} title={t("record.pictures", { class: of.name })}>
      <ul class="neighbours dense">
        {shown.map((sample) => (
          <li key={sample.source}>
            <Picture path={samplePath(sample)} size={160} alt="" missing={t("sample.noimage")} />
            <span class="small">{operatorName(sample.operator)}</span>
            <span class="small muted">{date(sample.time_s)}</span>
          </li>
        ))}
      </ul>
      {samples.length > shown.length && <p class="muted small">{t("record.more", { n: samples.length - shown.length })}</p>}
    </Card>
  );
}
