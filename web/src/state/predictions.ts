// Images that were asked about. They stay while the page is open, so that a look at another view loses nothing.
import * as calls from "../api/calls.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import type { Prediction } from "../api/types.ts";
import { forPrediction } from "../logic/shrink.ts";
import { app } from "./app.ts";
import { createStore } from "./store.ts";

export interface Asked {
  id: number;
  name: string;
  /** As it was chosen: this is what is taught. */
  image: Blob;
  answer: Prediction | null;
  failure: Failure | null;
  /** What the answer holds for: the device's revision and the error rate. */
  stamp: string;
}

export const predictions = createStore<{ items: Asked[]; selected: number }>({ items: [], selected: 0 });

const LIMIT = 200;
let next = 1;
let working = false;

const stampNow = () => `${app.value.revision} ${app.value.settings.error_rate}`;

export function ask(images: readonly (File | Blob)[]): void {
  if (images.length === 0) return;
  const added = images.map((image): Asked => ({
    id: next++, name: image instanceof File ? image.name : "", image, answer: null, failure: null, stamp: "",
  }));
  const items = [...added, ...predictions.value.items].slice(0, LIMIT);
  predictions.set({ items, selected: added[0]!.id });
  void work();
}

export const select = (id: number): void => {
  predictions.change({ selected: id });
  void work();
};

export const clearPredictions = (): void => predictions.set({ items: [], selected: 0 });

export function again(id: number): void {
  put(id, { stamp: "", failure: null });
  void work();
}

function put(id: number, part: Partial<Asked>): void {
  predictions.change({ items: predictions.value.items.map((one) => (one.id === id ? { ...one, ...part } : one)) });
}

/** The selected image first if its answer is out of date, then images without an answer. */
function due(): Asked | undefined {
  const { items, selected } = predictions.value;
  const stamp = stampNow();
  return items.find((one) => one.id === selected && one.stamp !== stamp) ?? items.find((one) => one.stamp === "");
}

/** Asks for every answer that is due, one after another. */
export async function work(): Promise<void> {
  if (working || app.value.device === null) return;
  working = true;
  try {
    for (let item = due(); item; item = due()) {
      const stamp = stampNow();
      try {
        const image = await forPrediction(item.image, app.value.device.limits.upload_bytes);
        put(item.id, { answer: await calls.predict(image, app.value.settings.error_rate), failure: null, stamp });
      } catch (thrown) {
        put(item.id, { failure: asFailure(thrown), stamp });
      }
    }
  } finally {
    working = false;
  }
}

// A change on the device makes the shown answer old.
app.subscribe(() => void work());
