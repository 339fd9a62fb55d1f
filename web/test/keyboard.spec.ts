// Teach, predict and undo without a mouse.
import type { Locator, Page } from "@playwright/test";
import { className, expect, image, images, open, test } from "./help.ts";

/** Presses Tab until `target` has the focus. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element === document.activeElement).catch(() => false)) return;
  }
  throw new Error(`Tab does not reach ${target}`);
}

async function choose(page: Page, button: Locator, files: ReturnType<typeof images>): Promise<void> {
  // The wait comes first: the browser needs a moment before it hands its file dialog to the test.
  const chooser = page.waitForEvent("filechooser");
  await tabTo(page, button);
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(files);
}

test("teach, predict and undo with the keyboard only", async ({ page }) => {
  const name = className("Keys");
  await open(page, "predict");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await tabTo(page, page.getByRole("link", { name: "Teach" }));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByLabel("Name of the new class"));
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name })).toBeVisible();
  await choose(page, page.getByRole("button", { name: `Choose images: ${name}` }), images("disc", 2));
  await expect(page.getByText(`2 samples taught as ${name}.`)).toBeVisible();

  await tabTo(page, page.getByRole("status").getByRole("button", { name: "Undo" }).last());
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name }).getByText("0 samples")).toBeVisible();

  await tabTo(page, page.getByRole("link", { name: "Predict" }));
  await page.keyboard.press("Enter");
  await choose(page, page.getByRole("button", { name: "Choose images" }), [image("disc")]);
  await expect(page.locator(".headline")).toBeVisible();

  await tabTo(page, page.getByRole("link", { name: "Teach" }));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: `Remove ${name}` }));
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  // The focus stays inside.
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("button", { name: `Remove ${name}` })).toBeFocused();
  await page.keyboard.press("Enter");
  await tabTo(page, dialog.getByRole("button", { name: "Remove class" }));
  await page.keyboard.press("Enter");
  await expect(page.getByText(`Class ${name} removed.`)).toBeVisible();
});
