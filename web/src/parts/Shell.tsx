import type { ComponentChildren } from "preact";
import { lastPart } from "../logic/names.ts";
import { t } from "../messages/index.ts";
import { app, operator } from "../state/app.ts";
import { preferences } from "../state/preferences.ts";
import { route, VIEWS } from "../state/route.ts";
import { useStore } from "../state/store.ts";
import { Icon } from "./Icon.tsx";

/** The frame around each view: skip link, head with the operator, navigation, connection. */
export function Shell({ children }: { children: ComponentChildren }) {
  const { device, reachable, progress, queue } = useStore(app);
  const view = useStore(route);
  return (
    <div class="shell">
      <a
        class="skip" href="#content" onClick={(event) => {
          // The fragment is the view; the link must not change it.
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >{t("app.skip")}</a>
      <header class="top">
        <a class="brand" href="#predict"><img src="icon.svg" alt="" width="28" height="28" /><span>Macula</span></a>
        <span class="device-name" title={device?.name}>{device && lastPart(device.name)}</span>
        <OperatorChoice />
      </header>
      <nav class="tabs" aria-label={t("app.navigation")}>
        {VIEWS.map((name) => (
          <a key={name} href={`#${name}`} aria-current={view === name || (view === "record" && name === "device") ? "page" : undefined}>
            <Icon name={name} /><span>{t(`nav.${name}`)}</span>
            {name === "queue" && queue > 0 && <span class="badge" aria-label={t("queue.left", { n: queue })}>{queue > 999 ? "999+" : queue}</span>}
          </a>
        ))}
      </nav>
      <main id="content" tabIndex={-1}>
        <div role="status" aria-live="polite">
          {!reachable && <p class="banner"><Icon name="offline" />{t("app.offline")}</p>}
          {progress && (
            <p class="banner calm">
              {t(progress.task === "import" ? "app.progress.import" : "app.progress.queue", { done: progress.done, total: progress.total })}
              <progress max={progress.total} value={progress.done} aria-hidden="true" />
            </p>
          )}
        </div>
        {children}
      </main>
    </div>
  );
}

function OperatorChoice() {
  const { operators } = useStore(app).settings;
  useStore(preferences);
  if (operators.length === 0) return <a class="button quiet" href="#device">{t("device.operators.add")}</a>;
  return (
    <div class="operator">
      <label for="operator">{t("operator.label")}</label>
      <select id="operator" value={operator()} onChange={(event) => preferences.change({ operator: Number(event.currentTarget.value) })}>
        <option value={0}>{t("operator.none")}</option>
        {operators.map((one) => <option value={one.number} key={one.number}>{one.name}</option>)}
      </select>
    </div>
  );
}
