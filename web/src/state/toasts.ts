import { asFailure } from "../api/failure.ts";
import { textOf } from "../messages/failures.ts";
import { createStore } from "./store.ts";

export interface Toast { id: number; text: string; small?: string | undefined; wrong: boolean; action?: { label: string; run: () => void } | undefined }

export const toasts = createStore<Toast[]>([]);
let next = 1;
let nameOf: ((slot: number) => string) | undefined;

/** Gives the class names that failures speak of. */
export function nameClassesBy(names: (slot: number) => string): void {
  nameOf = names;
}

export function dismiss(id: number): void {
  toasts.set(toasts.value.filter((toast) => toast.id !== id));
}

/** Shows a message for some seconds; longer if it offers an action. At most two are shown. */
export function say(text: string, action?: Toast["action"]): void {
  const id = next++;
  toasts.set([...toasts.value.slice(-1), { id, text, wrong: false, action }]);
  setTimeout(() => dismiss(id), action ? 12_000 : 5_000);
}

/** Shows what went wrong, with the server's words in small print. */
export function complain(thrown: unknown): void {
  const failure = asFailure(thrown);
  const id = next++;
  toasts.set([...toasts.value.slice(-1), { id, text: textOf(failure, nameOf), small: failure.message, wrong: true }]);
  setTimeout(() => dismiss(id), 15_000);
}

/** Runs an action of the user and shows its failure. Returns whether it succeeded. */
export async function attempt(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (thrown) {
    complain(thrown);
    return false;
  }
}
