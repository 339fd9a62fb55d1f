import { addClass, className, expect, foreign, image, images, open, removeClass, teach, test, undo } from "./help.ts";

test("teach two classes, predict, teach the image, undo", async ({ page }) => {
  const [a, b] = [className("Discs"), className("Stripes")];
  await open(page, "teach");
  await addClass(page, a);
  await addClass(page, b);
  await teach(page, a, images("disc", 5));
  await teach(page, b, images("stripes", 5));
  await expect(page.getByRole("region", { name: a }).getByText("5 samples", { exact: true })).toBeVisible();

  await page.getByRole("link", { name: "Predict" }).click();
  await page.locator('input[data-drop="images"]').setInputFiles(image("disc"));
  await expect(page.locator(".headline")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Why" })).toBeVisible();
  await page.getByRole("group", { name: "Teach as" }).getByRole("button", { name: a, exact: true }).click();
  await expect(page.getByText(`This image is a sample of ${a}.`)).toBeVisible();
  await undo(page);
  await expect(page.getByText(`This image is a sample of ${a}.`)).toBeHidden();

  await page.getByRole("link", { name: "Teach" }).click();
  await removeClass(page, b);
  await undo(page);
  await expect(page.getByRole("region", { name: b }).getByText("5 samples", { exact: true })).toBeVisible();
  await removeClass(page, a);
  await removeClass(page, b);
});

test("a class is renamed in place; a sample is moved and forgotten", async ({ page }) => {
  const [a, b, c] = [className("One"), className("Two"), className("Three")];
  await open(page, "teach");
  await addClass(page, a);
  await addClass(page, b);
  await teach(page, a, images("ring", 2));
  await page.getByRole("button", { name: `Rename ${a}` }).click();
  await page.getByRole("textbox", { name: `Rename ${a}` }).fill(c);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: c })).toBeVisible();

  await page.getByRole("region", { name: c }).getByRole("button", { name: /^Sample of/ }).first().click();
  await page.getByLabel("Move to class").selectOption({ label: b });
  await page.getByRole("button", { name: "Move", exact: true }).click();
  await expect(page.getByText(`Sample moved to ${b}.`)).toBeVisible();
  await page.getByRole("region", { name: b }).getByRole("button", { name: /^Sample of/ }).first().click();
  await page.getByRole("button", { name: "Forget this sample" }).click();
  await expect(page.getByRole("region", { name: b }).getByText("0 samples")).toBeVisible();
  await undo(page);
  await expect(page.getByRole("region", { name: b }).getByText("1 sample", { exact: true })).toBeVisible();
  await removeClass(page, b);
  await removeClass(page, c);
});

test("files that fail are named, the others are taught", async ({ page }) => {
  const name = className("Mixed");
  await open(page, "teach");
  await addClass(page, name);
  const bad = { name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no image") };
  await page.locator(`input[data-drop="${name}"]`).setInputFiles([image("disc"), bad, image("disc")]);
  const card = page.getByRole("region", { name });
  await expect(card.getByText("1 file failed")).toBeVisible();
  await expect(card.getByText("notes.png")).toBeVisible();
  await expect(card.getByText("2 samples", { exact: true })).toBeVisible();
  await removeClass(page, name);
});

test("the queue is labelled with keys", async ({ page }) => {
  await open(page, "teach");
  const names = foreign ? [className("Left"), className("Right")] : [];
  for (const name of names) await addClass(page, name);
  await open(page, "queue");
  const files = images("ring", 4);
  await page.locator('input[data-drop="images"]').setInputFiles(files);
  await expect(page.getByText("4 images added to the queue.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Which class is this?" })).toBeVisible();
  const left = () => page.getByText(/images? left$/).first().innerText().then((text) => Number.parseInt(text, 10));
  const before = await left();
  await page.keyboard.press("1");
  await expect.poll(left).toBe(before - 1);
  await page.keyboard.press("s");
  await page.getByRole("button", { name: "Remove from queue" }).click();
  await expect.poll(left).toBe(before - 2);
  await open(page, "teach");
  for (const name of names) await removeClass(page, name);
});

test("the device page exports, keeps an operator and the error rate", async ({ page }) => {
  await open(page, "device");
  const name = className("Nurse");
  const form = page.getByRole("region", { name: "Operators" });
  await form.getByLabel("Name", { exact: true }).fill(name);
  await form.getByRole("button", { name: "Add operator" }).click();
  await expect(form.getByText(name)).toBeVisible();
  await page.getByLabel("Operator", { exact: true }).selectOption({ label: name });
  await page.reload();
  await expect(page.getByLabel("Operator", { exact: true }).locator("option:checked")).toHaveText(name);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  expect((await download).suggestedFilename()).toMatch(/^macula-.*\.zip$/);
  await page.getByRole("button", { name: `Remove operator ${name}` }).click();
  await expect(form.getByText(name)).toBeHidden();
});

test("a change by somebody else shows at once", async ({ page, context }) => {
  const name = className("Other");
  await open(page, "teach");
  const second = await context.newPage();
  await open(second, "teach");
  await addClass(second, name);
  await expect(page.getByRole("region", { name })).toBeVisible();
  await removeClass(second, name);
  await expect(page.getByRole("region", { name })).toBeHidden();
});

test("the page speaks German", async ({ browser, baseURL }) => {
  const page = await browser.newPage({ locale: "de-DE", baseURL: baseURL! });
  await page.goto("./#teach");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Lehren");
  expect(await page.evaluate(() => document.documentElement.lang)).toBe("de");
  await page.close();
});
