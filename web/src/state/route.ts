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
/** What the last pairing link brought. */
export const entrance = createStore<Pick<Entrance, "token" | "code">>({ token: null, code: null });

function follow(): void {
  const { view, token, code } = readFragment(location.hash);
  if (!token && !code) return route.set(view);
  // The secret leaves the address at once.
  history.replaceState(null, "", location.pathname + location.search);
  entrance.set({ token, code });
}

/** Follows the address bar: at the start, and when a link changes only the fragment of an open page. */
export function startRouting(): void {
  follow();
  addEventListener("hashchange", follow);
}
