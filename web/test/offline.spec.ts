// The service worker: the shell opens without the server; answers of the server are never kept.
import { expect, open, test } from "./help.ts";

test.use({ serviceWorkers: "allow" });

test("the shell opens offline, data is not cached", async ({ page, context }) => {
  await open(page, "predict");
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.waitForTimeout(500);
  const kept = await page.evaluate(async () => {
    const urls: string[] = [];
    for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) urls.push(new URL(request.url).pathname);
    return urls;
  });
  expect(kept).toContain("/app.js");
  expect(kept.filter((path) => path.includes("/api/"))).toEqual([]);
  await context.setOffline(true);
  await page.reload();
  await expect(page.getByText("No connection to the device.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Teach" })).toBeVisible();
  await context.setOffline(false);
});
