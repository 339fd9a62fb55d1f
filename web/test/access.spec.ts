// Accessibility and layout of each view: light and dark, wide and narrow.
import AxeBuilder from "@axe-core/playwright";
import { expect, image, open, test, VIEWS } from "./help.ts";

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [1280, 360]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 800 } });

      for (const view of [...VIEWS, "answer"] as const) {
        test(`${view} has no serious issue and does not overflow`, async ({ page }) => {
          await open(page, view === "answer" ? "predict" : view);
          if (view === "answer") {
            await page.locator('input[data-drop="images"]').setInputFiles([image("disc"), image("ring"), image("noise")]);
            await expect(page.locator(".headline")).toBeVisible();
            await page.waitForTimeout(500);
          }
          const { violations } = await new AxeBuilder({ page }).analyze();
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("\n")}`)).toEqual([]);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(overflow).toBe(0);
        });
      }
    });
  }
}

test.describe("touch", () => {
  test.use({ viewport: { width: 360, height: 740 }, hasTouch: true });
  for (const view of VIEWS) {
    test(`controls of ${view} are at least 44 px`, async ({ page }) => {
      await open(page, view);
      const small = await page.evaluate(() => [...document.querySelectorAll("button, a, select, input")].flatMap((element) => {
        const { width, height } = element.getBoundingClientRect();
        const hidden = width === 0 || element.matches(".skip");
        return hidden || (width >= 43.5 && height >= 43.5) ? [] : [`${element.outerHTML.slice(0, 80)} ${width}x${height}`];
      }));
      expect(small).toEqual([]);
    });
  }
});

test("headings are in order and there is one of the first level", async ({ page }) => {
  for (const view of VIEWS) {
    await open(page, view);
    const levels = await page.evaluate(() => [...document.querySelectorAll("h1, h2, h3, h4")].map((heading) => Number(heading.tagName[1])));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.forEach((level, i) => expect(level - (levels[i - 1] ?? 0)).toBeLessThanOrEqual(1));
  }
});
