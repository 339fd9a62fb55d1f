import type { Device } from "../../api/types.ts";
import { bytes, shortHash } from "../../logic/format.ts";
import { locale, t } from "../../messages/index.ts";
import { Card } from "../../parts/Card.tsx";

type Of = { device: Device };

export function EncoderCard({ device: { encoder, program, state_sha256 } }: Of) {
  return (
    <Card id="encoder" title={t("device.encoder")}>
      <dl class="facts">
        <dt>{t("device.encoder.name")}</dt><dd>{encoder.name ?? t("device.encoder.unnamed")}</dd>
        <dt>{t("device.identity")}</dt><dd class="mono" title={encoder.identity}>{shortHash(encoder.identity)}</dd>
        <dt>{t("device.feature")}</dt><dd>{encoder.feature_dim}</dd>
        <dt>{t("device.input")}</dt><dd>{encoder.input ? inputText(encoder.input) : t("device.unknown")}</dd>
        <dt>{t("device.program")}</dt><dd>{program}</dd>
        <dt>{t("device.state")}</dt><dd class="mono" title={state_sha256}>{shortHash(state_sha256)}</dd>
      </dl>
    </Card>
  );
}

const inputText = (input: NonNullable<Device["encoder"]["input"]>) =>
  t("device.input.of", { width: input.width, height: input.height, channels: t("device.channels", { n: input.channels }) });

export function Memory({ device }: Of) {
  const { store } = device;
  const perSample = store.learned > 0
    ? t("device.wear.per", {
      bytes: bytes(Math.round(store.learned_bytes / store.learned)),
      erases: new Intl.NumberFormat(locale(), { maximumSignificantDigits: 2 }).format(store.learned_erases / store.learned),
    })
    : null;
  return (
    <Card id="memory" title={t("device.memory")}>
      <Used label={t("device.samples")} used={device.samples} limit={device.samples_limit} />
      <Used label={t("device.classes")} used={device.classes} limit={device.classes_limit} />
      <Used label={t("queue.title")} used={device.queue.images} limit={device.queue.images_limit} />
      <dl class="facts">
        <dt>{t("device.free")}</dt><dd>{bytes(store.free_bytes)}</dd>
        <dt>{t("device.wear")}</dt>
        <dd>
          {perSample && <div>{perSample}</div>}
          <div class={perSample ? "muted small" : ""}>{t("device.wear.total", { bytes: bytes(store.bytes_programmed), n: store.erases })}</div>
        </dd>
        <dt>{t("device.images")}</dt><dd>{t(device.keeps_images ? "device.images.kept" : "device.images.not")}</dd>
      </dl>
    </Card>
  );
}

function Used({ label, used, limit }: { label: string; used: number; limit: number }) {
  return (
    <div class="used">
      <div class="bar-head"><span>{label}</span><span>{t("device.of", { used, limit })}</span></div>
      <meter min={0} max={limit || 1} value={used} aria-label={label} />
    </div>
  );
}

export function Bundle({ device: { bundle } }: Of) {
  return (
    <Card id="bundle" title={t("device.bundle")}>
      <p>{bundleText(bundle)}</p>
      {bundle?.state === "arriving" && <progress max={bundle.bytes_expected} value={bundle.bytes_received} aria-label={t("device.bundle")} />}
      {bundle && (
        <dl class="facts">
          <dt>SHA-256</dt><dd class="mono" title={bundle.sha256}>{shortHash(bundle.sha256)}</dd>
          <dt>{t("device.bundle.counter")}</dt><dd>{bundle.counter}</dd>
        </dl>
      )}
    </Card>
  );
}

function bundleText(bundle: Device["bundle"]): string {
  if (!bundle) return t("device.bundle.none");
  const slot = String(bundle.slot);
  switch (bundle.state) {
    case "confirmed":
      return t("device.bundle.confirmed", { slot });
    case "waiting":
      return bundle.attempts === null ? t("device.bundle.trial", { slot }) : t("device.bundle.waiting", { slot, n: bundle.attempts });
    case "rolled-back":
      return t("device.bundle.rolled-back", { reason: bundle.reason ?? t("device.unknown") });
    case "arriving":
      return t("device.bundle.arriving", { received: bytes(bundle.bytes_received), expected: bytes(bundle.bytes_expected) });
  }
}
