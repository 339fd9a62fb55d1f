// Reports in a browser: nothing from outside, no error, readable on a phone, accessible.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import { expect, test } from "@playwright/test";

const program = process.env["MACULA_PROGRAM"];
const pictures = process.env["MACULA_PICTURES"];
const folder = mkdtempSync(join(tmpdir(), "macula-report-"));

function macula(line: string): void {
  if (program === undefined) throw new Error("MACULA_PROGRAM is not set: the path of the program macula");
  execFileSync(program, line.split(" "), { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
}

const REPORTS = { run: "run/report.html", comparison: "comparison.html", evaluation: "evaluation.html" } as const;

test.beforeAll(() => {
  test.setTimeout(180_000);
  const short = "--data phantoms:32:180 --encoder pico --channels 1 --size 32 --batch-size 30 --policy natural --quiet";
  macula(`pretrain ${short} --method simclr --epochs 4 --seed 1 --out run`);
  macula(`pretrain ${short} --method rotation --epochs 3 --seed 2 --out a-run-with-quite-a-long-name-of-its-own`);
  macula("report run a-run-with-quite-a-long-name-of-its-own --out comparison.html --quiet");
  macula("eval few-shot --encoder run --data phantoms:32:600 --shots 1,5,10 --queries 5 --episodes 20 --report evaluation.html --quiet");
});

test.afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const [name, file] of Object.entries(REPORTS)) {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1280, 360]) {
      test.describe(`${name}, ${colorScheme}, ${width} px`, () => {
        test.use({ colorScheme, viewport: { width, height: 800 } });

        test("asks nobody, has no error, fits and is accessible", async ({ page }) => {
          const [requests, errors]: string[][] = [[], []];
          page.on("request", (request) => requests?.push(request.url()));
          page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") errors?.push(message.text()); });
          page.on("pageerror", (error) => errors?.push(String(error)));
          const url = pathToFileURL(join(folder, file)).href;
          await page.goto(url);
          await expect(page.locator("h1")).toBeVisible();
          // What is folded must be right as well.
          await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
          expect(await page.evaluate(() => document.scripts.length)).toBe(0);
          const loaded = await page.evaluate(() => [...document.images].map((image) => image.complete && image.naturalWidth > 0));
          expect(loaded).not.toContain(false);
          expect(loaded.length > 0).toBe(name !== "comparison");
          expect(await page.locator("svg.chart").count()).toBeGreaterThan(2);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          expect(overflow).toBe(0);
          // The text of charts is at least 10 pixels high, and none is outside of its chart.
          const texts = await page.evaluate(() => [...document.querySelectorAll("svg.chart")].flatMap((svg) => {
            const frame = svg.getBoundingClientRect();
            const scale = frame.width / (svg as SVGSVGElement).viewBox.baseVal.width;
            const size = parseFloat(svg.getAttribute("font-size") ?? "0") * scale;
            const outside = [...svg.querySelectorAll("text")].filter((text) => {
              const box = text.getBoundingClientRect();
              return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1 || box.top < frame.top - 1;
            });
            return [...outside.map((text) => `outside: ${text.textContent}`), ...(size < 9.9 ? [`${size} px`] : [])];
          }));
          expect(texts).toEqual([]);
          if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true });
          const { violations } = await new AxeBuilder({ page }).analyze();
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join("\n")}`)).toEqual([]);
          expect(errors).toEqual([]);
          expect(requests?.filter((request) => request !== url && !request.startsWith("data:"))).toEqual([]);
        });
      });
    }
  }
}
