// Draws docs/page/*.png with phantoms, and measures the page on a slow phone. MACULA_PROGRAM names the program.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { phantom, type Kind } from "../dev/mock/phantoms.ts";
import { addClass, teach } from "./help.ts";
import { Device } from "./program.ts";

const FOLDER = fileURLToPath(new URL("../../docs/page", import.meta.url));
const WIDE = { width: 1280, height: 860 }, PHONE = { width: 360, height: 740 };
const images = (kind: Kind, from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `${kind}-${from + index}.png`, mimeType: "image/png", buffer: phantom(kind, from + index) }));

const device = new Device();
test.beforeAll(() => device.start());
test.afterAll(() => device.end());

async function open(page: Page, view: string): Promise<void> {
  await page.goto(`${device.url}/#${view}`);
  await page.reload();
  await expect(page.locator("h1")).toBeVisible();
}

async function draw(page: Page, name: string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

const files = (page: Page) => page.locator('input[data-drop="images"]');

test("pictures", async ({ page }) => {
  await page.setViewportSize(WIDE);
  await open(page, "device");
  await page.request.put(`${device.url}/api/v1/settings`, {
    data: { error_rate: 0.1, operators: [{ number: 7, name: "Ada" }], goal: { class: 0, sensitivity: 0.9, specificity: 0.9 } },
  });
  await open(page, "teach");
  await addClass(page, "Disc");
  await addClass(page, "Ring");
  await teach(page, "Disc", images("disc", 1, 12));
  await teach(page, "Ring", images("ring", 1, 12));
  await open(page, "teach");
  await draw(page, "teach-light");

  await open(page, "predict");
  await files(page).setInputFiles(images("disc", 40, 1));
  await expect(page.getByRole("heading", { name: "Why" })).toBeVisible();
  await draw(page, "predict-light");

  await open(page, "queue");
  await files(page).setInputFiles([...images("disc", 60, 4), ...images("ring", 60, 4)]);
  await expect(page.getByRole("heading", { name: "Which class is this?" })).toBeVisible();
  await open(page, "queue");
  await expect(page.getByRole("heading", { name: "Which class is this?" })).toBeVisible();
  await draw(page, "queue-light");

  await page.emulateMedia({ colorScheme: "dark" });
  await open(page, "quality");
  await expect(page.getByRole("table").first()).toBeVisible();
  await draw(page, "quality-dark");

  await page.setViewportSize(PHONE);
  await open(page, "predict");
  await files(page).setInputFiles(images("noise", 3, 1));
  await expect(page.locator(".headline")).toBeVisible();
  await draw(page, "predict-phone-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, "teach");
  await draw(page, "teach-phone-light");
});

test("time until the page can be used on a slow phone", async ({ page }) => {
  await page.setViewportSize(PHONE);
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  // Lighthouse's slow 4G, and a processor a quarter as fast.
  await session.send("Network.emulateNetworkConditions", { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 });
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    await page.goto("about:blank");
    const started = Date.now();
    await page.goto(`${device.url}/#teach`, { waitUntil: "commit" });
    await expect(page.getByRole("button", { name: "Add class" })).toBeVisible();
    times.push(Date.now() - started);
    await session.send("Network.clearBrowserCache");
  }
  const transferred = await page.evaluate(() => performance.getEntriesByType("resource").reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0));
  console.log(`usable after ${times.sort((a, b) => a - b)[2]} ms (median of 5: ${times.join(", ")}), ${transferred} bytes of resources`);
});
