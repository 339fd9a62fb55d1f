// Lost connections, errors of the server, pairing.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { addClass, className, expect, foreign, image, open, removeClass, test } from "./help.ts";

test("a lost connection shows a banner and loses nothing that was typed", async ({ page }) => {
  await open(page, "teach");
  await page.route("**/api/**", (route) => route.abort());
  await page.getByLabel("Name of the new class").fill("half typ");
  await page.getByRole("button", { name: "Add class" }).click();
  await expect(page.getByText("No connection to the device.")).toBeVisible();
  await page.unroute("**/api/**");
  await expect(page.getByText("No connection to the device.")).toBeHidden({ timeout: 30_000 });
  await expect(page.getByLabel("Name of the new class")).toHaveValue("half typ");
});

test("teaching survives a failed request, and nothing is taught twice", async ({ page }) => {
  const name = className("Retry");
  await open(page, "teach");
  await addClass(page, name);
  let failures = 2;
  await page.route("**/api/v1/samples?class=*", (route) => (failures-- > 0 ? route.abort() : route.continue()));
  await page.locator(`input[data-drop="${name}"]`).setInputFiles(image("ring"));
  await expect(page.getByText(/sending again/)).toBeVisible();
  await expect(page.getByRole("region", { name }).getByText("1 sample", { exact: true })).toBeVisible();
  await page.unroute("**/api/v1/samples?class=*");
  await removeClass(page, name);
});

test("an error is said in words, with the server's message in small print", async ({ page }) => {
  await page.route("**/api/v1/predictions**", (route) =>
    route.fulfill({ status: 504, json: { error: { kind: "unreachable", message: "no answer on /dev/ttyACM0 after 3 s" } } }));
  await open(page, "predict");
  await page.locator('input[data-drop="images"]').setInputFiles(image("ring"));
  await expect(page.getByText("The device behind this server does not answer.")).toBeVisible();
  await expect(page.getByText("no answer on /dev/ttyACM0 after 3 s")).toBeVisible();
});

test.describe("pairing", () => {
  test.skip(foreign, "the options of this server are unknown");
  const url = "http://127.0.0.1:8019/";
  let server: ReturnType<typeof spawn>;
  test.beforeAll(async () => {
    server = spawn("node", ["build/mock.mjs", "--port", "8019", "--token"], { cwd: fileURLToPath(new URL("..", import.meta.url)) });
    await new Promise((resolve) => server.stdout!.once("data", resolve));
  });
  test.afterAll(() => void server.kill());

  test("a code opens the page and the browser remembers", async ({ page }) => {
    await page.goto(url);
    await page.getByLabel("Code").fill("000000");
    await page.getByRole("button", { name: "Pair" }).click();
    await expect(page.getByText("This code is wrong or has expired.")).toBeVisible();
    await page.getByLabel("Code").fill("123456");
    await page.getByRole("button", { name: "Pair" }).click();
    await expect(page.getByRole("heading", { name: "Predict", level: 1 })).toBeVisible();
    await page.reload();
    await expect(page.getByRole("heading", { name: "Predict", level: 1 })).toBeVisible();
    await page.goto(`${url}#teach`);
    await expect(page.locator(".thumb img").first()).toBeVisible();
  });

  test("a link also pairs a page that is open already", async ({ page }) => {
    await page.goto(url);
    await expect(page.getByLabel("Code")).toBeVisible();
    await page.evaluate(() => void (location.hash = "code=123456"));
    await expect(page.getByRole("heading", { name: "Predict", level: 1 })).toBeVisible();
    expect(page.url()).toBe(url);
  });

  for (const fragment of ["code=123456", "token=mock-token"]) {
    test(`a link with #${fragment.slice(0, 5)}… pairs and leaves the address`, async ({ page }) => {
      await page.goto(`${url}#${fragment}`);
      await expect(page.getByRole("heading", { name: "Predict", level: 1 })).toBeVisible();
      expect(page.url()).toBe(url);
    });
  }
});
