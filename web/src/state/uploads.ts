// Batches of files on their way to the device. They go on while the user looks at another view.
import { asFailure, type Failure } from "../api/failure.ts";
import { createStore } from "./store.ts";

export interface Batch {
  id: number;
  /** Where the files go: "class 3", "queue". */
  target: string;
  total: number;
  done: number;
  /** Names of files that the device already had. */
  known: string[];
  failed: { name: string; failure: Failure }[];
  /** The file in transfer is being sent again for the n-th time. */
  retry: number;
  running: boolean;
}

export const batches = createStore<Batch[]>([]);
let next = 1;

function change(id: number, part: (batch: Batch) => Partial<Batch>): void {
  batches.set(batches.value.map((one) => (one.id === id ? { ...one, ...part(one) } : one)));
}

export function dismissBatch(id: number): void {
  batches.set(batches.value.filter((one) => one.id !== id));
}

export type Sender = (file: Blob, name: string, onRetry: (attempt: number) => void) => Promise<{ new: boolean }>;

/** Failures after which the other files of the batch would fail as well. */
const FINAL = new Set(["unauthorised", "forbidden", "network", "device-fault", "unreachable"]);

/** Sends files one after another. A batch with failures stays on the page until it is dismissed. */
export async function upload(target: string, files: readonly (File | Blob)[], send: Sender): Promise<void> {
  const id = next++;
  batches.set([...batches.value, { id, target, total: files.length, done: 0, known: [], failed: [], retry: 0, running: true }]);
  let stopped = false;
  for (const file of files) {
    const name = file instanceof File ? file.name : "";
    try {
      if (stopped) throw asFailure(new Error("not sent"));
      const { new: isNew } = await send(file, name, (retry) => change(id, () => ({ retry })));
      change(id, (batch) => ({ retry: 0, done: batch.done + 1, known: isNew ? batch.known : [...batch.known, name] }));
    } catch (thrown) {
      const failure = asFailure(thrown);
      stopped ||= FINAL.has(failure.kind);
      change(id, (batch) => ({ retry: 0, done: batch.done + 1, failed: [...batch.failed, { name, failure }] }));
    }
  }
  change(id, () => ({ running: false }));
  const batch = batches.value.find((one) => one.id === id);
  if (batch && batch.failed.length === 0) dismissBatch(id);
}
