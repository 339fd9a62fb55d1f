// Data of some views only: loaded while such a view is open, again after each change on the device.
import { useEffect } from "preact/hooks";
import * as calls from "../api/calls.ts";
import { Failure } from "../api/failure.ts";
import type { Quality, Queue, Sample } from "../api/types.ts";
import { app } from "./app.ts";
import { createStore, useStore, type Store } from "./store.ts";
import { complain } from "./toasts.ts";

interface Kept<T> { stamp: string; value: T | null; loading: boolean }
const create = <T>() => createStore<Kept<T>>({ stamp: "", value: null, loading: false });

const kept = { samples: create<Sample[]>(), quality: create<Quality>(), queue: create<Queue>() };

async function load<T>(store: Store<Kept<T>>, stamp: string, get: () => Promise<T>): Promise<void> {
  if (store.value.stamp === stamp) return;
  store.change({ stamp, loading: true });
  try {
    const value = await get();
    if (store.value.stamp === stamp) store.set({ stamp, value, loading: false });
  } catch (thrown) {
    if (store.value.stamp !== stamp) return;
    store.change({ stamp: "", loading: false });
    const kind = thrown instanceof Failure ? thrown.kind : "";
    if (kind !== "network" && kind !== "unauthorised") complain(thrown);
  }
}

function useKept<T>(store: Store<Kept<T>>, stamp: string, get: () => Promise<T>): T | null {
  const { value } = useStore(store);
  const { device, reachable } = useStore(app);
  const ready = device !== null && reachable;
  useEffect(() => {
    if (ready) void load(store, stamp, get);
  }, [stamp, ready]);
  return value;
}

export function useSamples(): Sample[] | null {
  const { revision } = useStore(app);
  return useKept(kept.samples, `${revision}`, async () => (await calls.samples()).samples);
}

export function useQuality(): Quality | null {
  const { revision, settings } = useStore(app);
  return useKept(kept.quality, `${revision} ${settings.error_rate}`, () => calls.quality(settings.error_rate));
}

export function useQueue(): Queue | null {
  const { revision, queue, settings } = useStore(app);
  return useKept(kept.queue, `${revision} ${queue} ${settings.error_rate}`, () => calls.queue(50));
}

export const sampleOf = (source: string): Sample | undefined => kept.samples.value.value?.find((one) => one.source === source);
