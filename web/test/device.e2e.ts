// A device is taught x-rays through its page, and killed in the middle.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect, test, type Page } from "@playwright/test";
import { addClass } from "./help.ts";
import { Device } from "./program.ts";

const data = process.env["MACULA_DATA"];

/** Files of a class of x-rays. */
function xrays(label: string, from: number, count: number): string[] {
  const folder = join(data ?? "", "kermany-cxr", "test", label);
  return readdirSync(folder).sort().slice(from, from + count).map((file) => join(folder, file));
}

const open = async (page: Page, device: Device, view: string) => {
  await page.goto(`${device.url}/#${view}`);
  await expect(page.locator("h1")).toBeVisible();
};

test.skip(data === undefined, "MACULA_DATA is not set");

let device: Device;
test.beforeEach(async () => {
  device = new Device();
  await device.start();
});
test.afterEach(() => device.end());

const files = (page: Page) => page.locator('input[data-drop="images"]');

test("x-rays: teach two classes, predict, ask why, forget, undo, label a queue", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  await open(page, device, "teach");
  await addClass(page, "Normal");
  await addClass(page, "Pneumonia");
  for (const [name, label] of [["Normal", "NORMAL"], ["Pneumonia", "PNEUMONIA"]] as const) {
    await page.locator(`input[data-drop="${name}"]`).setInputFiles(xrays(label, 0, 12));
    await expect(page.getByText(`taught as ${name}.`)).toBeVisible();
  }
  await expect(page.getByRole("region", { name: "Normal" }).getByText("12 samples", { exact: true })).toBeVisible();

  await page.getByRole("link", { name: "Predict" }).click();
  await files(page).setInputFiles(xrays("PNEUMONIA", 30, 1));
  await expect(page.locator(".headline")).toHaveText(/Pneumonia|Normal|I don.t know/);
  await expect(page.getByRole("heading", { name: "Why" })).toBeVisible();
  const why = page.locator("section, div").filter({ has: page.getByRole("heading", { name: "Why" }) }).last();
  await expect(why.locator("img").first()).toBeVisible();
  const violations = (await new AxeBuilder({ page }).analyze()).violations;
  expect(violations.filter((found) => found.impact === "serious" || found.impact === "critical")).toEqual([]);

  await page.getByRole("link", { name: "Teach" }).click();
  await page.getByRole("region", { name: "Normal" }).getByRole("button", { name: /^Sample of/ }).first().click();
  await page.getByRole("button", { name: "Forget this sample" }).click();
  await expect(page.getByRole("region", { name: "Normal" }).getByText("11 samples", { exact: true })).toBeVisible();
  await page.getByRole("status").getByRole("button", { name: "Undo" }).last().click();
  await expect(page.getByRole("region", { name: "Normal" }).getByText("12 samples", { exact: true })).toBeVisible();

  await page.getByRole("link", { name: "Queue" }).click();
  await files(page).setInputFiles([...xrays("NORMAL", 50, 3), ...xrays("PNEUMONIA", 50, 3)]);
  await expect(page.getByText("6 images added to the queue.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Which class is this?" })).toBeVisible();
  await page.keyboard.press("1");
  await expect(page.getByText(/5 images left$/).first()).toBeVisible();

  await page.getByRole("link", { name: "Quality" }).click();
  await expect(page.getByRole("table").first()).toBeVisible();
});

test("nothing acknowledged is lost when the server is killed in the middle of learning", async ({ page }) => {
  // The page's own requests, as it sees their replies.
  const acknowledged = new Set<string>();
  let killed: Promise<void> | undefined;
  await page.exposeFunction("acknowledge", (source: string) => {
    if (killed === undefined) acknowledged.add(source);
    if (acknowledged.size === 8) killed ??= device.kill();
  });
  await page.addInitScript(() => {
    const send = window.fetch.bind(window);
    window.fetch = async (input, init) => {
      const reply = await send(input, init);
      if (init?.method === "POST" && reply.ok && String(input).includes("/samples?")) {
        const { source } = (await reply.clone().json()) as { source: string };
        await (window as unknown as { acknowledge(source: string): Promise<void> }).acknowledge(source);
      }
      return reply;
    };
  });
  await open(page, device, "teach");
  const { port } = new URL(device.url);
  await addClass(page, "Normal");
  await page.locator('input[data-drop="Normal"]').setInputFiles(xrays("NORMAL", 0, 40));
  await expect.poll(() => killed !== undefined, { timeout: 60_000 }).toBe(true);
  await killed;
  await device.start(`localhost:${port}`);
  await page.reload();
  await expect(page.getByRole("region", { name: "Normal" })).toBeVisible();
  const reply = await page.request.get(`${device.url}/api/v1/samples`);
  const known = ((await reply.json()) as { samples: { source: string }[] }).samples.map((sample) => sample.source);
  expect(acknowledged.size).toBe(8);
  for (const source of acknowledged) expect(known).toContain(source);
  expect(known.length, "it was killed in the middle").toBeLessThan(40);
});

test("a phone pairs with the code of a server that others can reach", async ({ page }) => {
  await device.kill();
  await device.start("0.0.0.0:0", ["--allow-remote"]);
  await page.goto(device.url);
  await expect(page.getByLabel(/code/i).first()).toBeVisible();
  const refused = await page.request.get(`${device.url}/api/v1/device`);
  expect(refused.status()).toBe(401);
  await page.goto(device.pair);
  await expect(page.getByRole("link", { name: "Teach" })).toBeVisible();
  expect(page.url(), "the code is not left in the address").not.toContain("code=");
  await page.reload();
  await expect(page.getByRole("link", { name: "Teach" }), "the token is kept").toBeVisible();
});
