// What this browser remembers. Private windows may refuse storage: then the values last as long as the page.
import { setToken } from "../api/client.ts";
import { createStore } from "./store.ts";

export type Theme = "system" | "light" | "dark";
export interface Preferences { theme: Theme; operator: number; language: string | null; token: string | null }

const KEY = "macula";

function load(): Partial<Preferences> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>;
  } catch {
    return {};
  }
}

/** `operator` 0: nobody is chosen. */
export const preferences = createStore<Preferences>({ theme: "system", operator: 0, language: null, token: null, ...load() });

const dark = matchMedia("(prefers-color-scheme: dark)");

function apply(): void {
  const { theme, token } = preferences.value;
  setToken(token);
  document.documentElement.dataset["theme"] = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
}

preferences.subscribe(() => {
  apply();
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences.value));
  } catch {
    // See above.
  }
});
dark.addEventListener("change", apply);
apply();
