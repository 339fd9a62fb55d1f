import { createStore } from "./store.ts";

export const VIEWS = ["predict", "teach", "queue", "quality", "device"] as const;
export type View = (typeof VIEWS)[number] | "record";

export interface Entrance { view: View; token: string | null; code: string | null }

/** What the URL fragment says: `#teach`, or `#token=…` or `#code=…` of a pairing link. */
export function readFragment(fragment: string): Entrance {
  const text = fragment.replace(/^#\/?/, "");
  const values = new URLSearchParams(text);
  const view = [...VIEWS, "record" as const].find((name) => name === text) ?? "predict";
  return { view, token: values.get("token") || null, code: values.get("code") || null };
}

export const route = createStore<View>("predict");

function follow(): void {
  route.set(readFragment(location.hash).view);
}

/** Follows the address bar and returns what a pairing link brought; the secret is removed from the address at once. */
export function startRouting(): Entrance {
  const entrance = readFragment(location.hash);
  if (entrance.token || entrance.code) history.replaceState(null, "", location.pathname + location.search);
  follow();
  addEventListener("hashchange", follow);
  return entrance;
}
