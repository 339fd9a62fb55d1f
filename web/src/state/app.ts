import * as calls from "../api/calls.ts";
import { listen } from "../api/client.ts";
import { readEvents } from "../api/stream.ts";
import type { Class, Device, Session, Settings } from "../api/types.ts";
import { Failure } from "../api/failure.ts";
import { t } from "../messages/index.ts";
import { preferences } from "./preferences.ts";
import { createStore } from "./store.ts";
import { complain, nameClassesBy } from "./toasts.ts";
import { batches } from "./uploads.ts";

export interface App {
  /** null: not asked yet. */
  session: Session | null;
  reachable: boolean;
  device: Device | null;
  classes: Class[] | null;
  settings: Settings;
  /** Grows with each change on the device; views load their data again. */
  revision: number;
  queue: number;
  progress: { task: string; done: number; total: number } | null;
}

export const app = createStore<App>({
  session: null, reachable: true, device: null, classes: null, settings: { error_rate: 0.1, operators: [], goal: null },
  revision: 0, queue: 0, progress: null,
});

export const nameOf = (slot: number): string =>
  app.value.classes?.find((one) => one.slot === slot)?.name ?? t("class.gone", { slot });

nameClassesBy(nameOf);

export function operatorName(number: number): string {
  if (number === 0) return t("operator.none");
  return app.value.settings.operators.find((one) => one.number === number)?.name ?? t("operator.number", { number: String(number) });
}

/** The operator in use; 0 if none is chosen or the chosen one is no longer listed. */
export function operator(): number {
  const { operator } = preferences.value;
  return app.value.settings.operators.some((one) => one.number === operator) ? operator : 0;
}

let loading: Promise<void> | null = null;
let again = false;

/** Loads what every view needs. Calls while it runs lead to one more run. */
export function refresh(): Promise<void> {
  again = loading !== null;
  loading ??= load().finally(() => {
    loading = null;
    if (again) void refresh();
  });
  return loading;
}

async function load(): Promise<void> {
  try {
    const [device, list, settings] = await Promise.all([calls.device(), calls.classes(), calls.settings()]);
    app.change({ device, classes: list.classes, settings, revision: device.revision, queue: device.queue.images });
  } catch (thrown) {
    const kind = thrown instanceof Failure ? thrown.kind : "";
    // The banner and the pairing screen speak for themselves.
    if (kind !== "network" && kind !== "unauthorised") complain(thrown);
  }
}

export async function saveSettings(part: Partial<Settings>): Promise<void> {
  app.change({ settings: await calls.saveSettings({ ...app.value.settings, ...part }) });
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const allowed = () => app.value.session !== null && (!app.value.session.token_required || app.value.session.authorised);

/** Whether this browser may use the device. A network failure shows elsewhere. */
export const askSession = () => calls.session().then((session) => app.change({ session }), () => {});

/** Asks until the server answers: a request may fail while the event stream still seems to be alive. */
async function probe(): Promise<void> {
  for (let pause = 1000; !app.value.reachable; pause = Math.min(pause * 1.5, 8000)) {
    await wait(pause);
    await askSession();
  }
  await refresh();
}

function onAnswer(reachable: boolean): void {
  if (reachable === app.value.reachable) return;
  app.change({ reachable });
  if (!reachable) void probe();
}

function onUnauthorised(): void {
  const { session } = app.value;
  if (session) app.change({ session: { ...session, token_required: true, authorised: false } });
}

/** Keeps the session and the event stream alive as long as the page is open. */
export async function stayConnected(): Promise<never> {
  listen(onAnswer, onUnauthorised);
  // A phone that slept has missed events.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && allowed() && void refresh());
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      app.change({ session: await calls.session() });
      if (allowed()) {
        await refresh();
        await readEvents(({ event, data }) => {
          pause = 500;
          onEvent(event, data);
        }, new AbortController().signal);
      }
    } catch {
      // The loop tries again.
    }
    await wait(pause);
    // Without permission there is nothing to follow until somebody pairs; without the server `probe` asks.
    while (!app.value.reachable || (app.value.session && !allowed())) await wait(200);
  }
}

let due: ReturnType<typeof setTimeout> | undefined;
let latest = { revision: 0, queue: 0 };

/** A batch changes the device many times a second, and what the views then ask for costs it time: few loads for many events. */
const calm = () => (batches.value.some((batch) => batch.running) ? 3000 : 300);

function onEvent(event: string, data: string): void {
  const value = JSON.parse(data) as { revision: number; queue: number; task: string; done: number; total: number };
  if (event === "progress") app.change({ progress: value.done < value.total ? value : null });
  if (event !== "change") return;
  latest = value;
  due ??= setTimeout(() => {
    due = undefined;
    if (latest.revision !== app.value.revision || latest.queue !== app.value.queue) void refresh();
  }, calm());
}
