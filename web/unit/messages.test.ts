import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { de } from "../src/messages/de.ts";
import { en } from "../src/messages/en.ts";
import { chooseLanguage, fill, t } from "../src/messages/index.ts";

type Text = string | Record<string, string>;
const places = (text: Text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();

test("a translation has the keys and the places of the English catalogue", () => {
  assert.deepEqual(Object.keys(de), Object.keys(en));
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    assert.deepEqual(places(de[key] as Text), places(en[key]), key);
  }
});

test("every key is used", () => {
  const source = (folder: string): string => readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/^(en|de)\.ts$/.test(entry.name))
    .map((entry) => readFileSync(`${entry.parentPath ?? (entry as unknown as { path: string }).path}/${entry.name}`, "utf8")).join("\n");
  const text = source("src");
  const prefixes = [...text.matchAll(/t\(`([a-z.]+)\$\{/g)].map((match) => match[1]!);
  const unused = Object.keys(en).filter((key) => !text.includes(`"${key}"`) && !prefixes.some((prefix) => key.startsWith(prefix)));
  assert.deepEqual(unused, []);
});

test("plural forms follow the number", () => {
  assert.equal(t("class.samples", { n: 1 }), "1 sample");
  assert.equal(t("class.samples", { n: 5 }), "5 samples");
  assert.equal(fill({ one: "{n} plik", few: "{n} pliki", other: "{n} plików" }, { n: 3 }, "pl"), "3 pliki");
});

test("a name with braces is not replaced again", () => {
  assert.equal(fill("{a} and {b}", { a: "{b}", b: "x" }, "en"), "{b} and x");
});

test("the first language that the page speaks is chosen", () => {
  assert.equal(chooseLanguage(["fr-FR", "de-CH", "en"]), "de");
  assert.equal(chooseLanguage(["fr"]), "en");
});
