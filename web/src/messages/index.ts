import { en } from "./en.ts";
import { createStore } from "../state/store.ts";

export type Plural = { one: string; other: string };
export type Key = keyof typeof en;
type Text = string | (Plural & Partial<Record<Intl.LDMLPluralRule, string>>);
/** A translation: a text for every key of the English catalogue, with plural forms where its language needs them. */
export type Catalogue = Record<Key, Text>;
export type Values = Record<string, string | number>;

/** Languages with a file of their own. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

export const catalogue = createStore<{ language: Language; texts: Catalogue }>({ language: "en", texts: en });

export function locale(): string {
  const { language } = catalogue.value;
  // The browser's own variant (en-GB, de-CH) decides how dates and numbers look.
  const own = typeof navigator === "undefined" ? [] : navigator.languages;
  return own.find((name) => name.slice(0, 2) === language) ?? language;
}

/** The text of a key. `{name}` is replaced by the value of that name; `{n}` also selects the plural form. */
export function t(key: Key, values: Values = {}): string {
  const { language, texts } = catalogue.value;
  return fill(texts[key], values, language, locale());
}

/** The words for an action of the audit log ("undo-learn": "Undone: Taught"); the server's own for one that the catalogue does not know. */
export function actionText(action: string): string {
  if (action.startsWith("undo-")) return `${t("action.undo")}: ${actionText(action.slice(5))}`;
  return `action.${action}` in catalogue.value.texts ? t(`action.${action}` as Key) : action;
}

export function fill(text: Text, values: Values, language: string, numbers = language): string {
  const form = typeof text === "string" ? text : text[new Intl.PluralRules(language).select(Number(values["n"]))] ?? text.other;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(numbers).format(value) : value;
  });
}

/** The first language of `wanted` that the page speaks. */
export function chooseLanguage(wanted: readonly string[]): Language {
  for (const name of wanted) {
    const short = name.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short as Language;
  }
  return "en";
}

/** Loads a language; the page stays English if its file cannot be had. */
export async function speak(language: Language): Promise<void> {
  try {
    const texts = language === "en" ? en : ((await (await fetch(`${language}.json`)).json()) as Catalogue);
    catalogue.set({ language, texts: { ...en, ...texts } });
    document.documentElement.lang = language;
  } catch {
    // The catalogue that is shown stays.
  }
}
