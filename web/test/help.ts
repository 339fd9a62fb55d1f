import { expect, test as base, type Page } from "@playwright/test";
import { phantom, type Kind } from "../dev/mock/phantoms.ts";

/** Whether the tests run against a server of somebody else, whose memory and options are unknown. */
export const foreign = process.env["MACULA_PAGE_URL"] !== undefined;

/** Images of this run: no other run has the same, so that none is a sample already. */
let seed = Math.floor(Date.now() / 1000) % 1_000_000;
export const image = (kind: Kind, name = `${kind}.png`) => ({ name, mimeType: "image/png", buffer: phantom(kind, seed++) });
export const images = (kind: Kind, count: number) => Array.from({ length: count }, (_, i) => image(kind, `${kind}-${i + 1}.png`));

/** A name that no class has yet. */
let names = 0;
export const className = (base: string) => `${base} ${Date.now().toString(36)}${names++}`;

/** A page that fails the test if the browser reports an error: a refused style, a script that throws. */
export const test = base.extend<{ errors: string[] }>({
  errors: [async ({ page }, use) => {
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => {
      // Answers with an error status are part of some tests.
      if (message.type() === "error" && !/Failed to load resource/.test(message.text())) errors.push(message.text());
    });
    await use(errors);
    expect(errors).toEqual([]);
  }, { auto: true }],
});
export { expect };

export const VIEWS = ["predict", "teach", "queue", "quality", "device", "record"] as const;

export async function open(page: Page, view: string): Promise<void> {
  await page.goto(`./#${view}`);
  await expect(page.locator("h1")).toBeVisible();
  // Pictures and figures have arrived when no request is under way; the event stream never ends, so "networkidle" would wait for ever.
  await page.waitForTimeout(500);
}

export async function addClass(page: Page, name: string): Promise<void> {
  await page.getByLabel("Name of the new class").fill(name);
  await page.getByRole("button", { name: "Add class" }).click();
  await expect(page.getByRole("heading", { name, exact: false, level: 2 })).toBeVisible();
}

export async function teach(page: Page, name: string, files: ReturnType<typeof images>): Promise<void> {
  await page.locator(`input[data-drop="${name}"]`).setInputFiles(files);
  await expect(page.getByText(`taught as ${name}.`)).toBeVisible();
}

export async function removeClass(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: `Remove ${name}` }).click();
  await page.getByRole("button", { name: "Remove class" }).click();
  await expect(page.getByText(`Class ${name} removed.`)).toBeVisible();
}

/** Takes back what the newest message is about. */
export async function undo(page: Page): Promise<void> {
  await page.locator(".toast").filter({ has: page.getByRole("button", { name: "Undo" }) }).last().getByRole("button", { name: "Undo" }).click();
}
