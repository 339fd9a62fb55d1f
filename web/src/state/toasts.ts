import { asFailure } from "../api/failure.ts";
import { textOf } from "../messages/failures.ts";
import { createStore } from "./store.ts";

export interface Toast { id: number; text: string; small?: string | undefined; wrong: boolean; action?: { label: string; run: () => void } | undefined }

export const current = createStore<Toast | null>(null);
let next = 1;
let nameOf: ((slot: number) => string) | undefined;

/** Gives the class names that failures speak of. */
export function nameClassesBy(names: (slot: number) => string): void {
  nameOf = names;
}

export function dismiss(id: number): void {
  if (current.value?.id === id) current.set(null);
}

/** Shows one message at a time: a newer one replaces it, because "Undo" is about the last change. */
function show(toast: Omit<Toast, "id">, ms: number): void {
  const id = next++;
  current.set({ ...toast, id });
  // Not while somebody is about to use it.
  const end = () => void (document.querySelector(".toast:hover, .toast:focus-within") ? setTimeout(end, 2000) : dismiss(id));
  setTimeout(end, ms);
}

export const say = (text: string, action?: Toast["action"]): void => show({ text, wrong: false, action }, 6_000);

/** Shows what went wrong, with the server's words in small print. */
export function complain(thrown: unknown): void {
  const failure = asFailure(thrown);
  show({ text: textOf(failure, nameOf), small: failure.message, wrong: true }, 12_000);
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
