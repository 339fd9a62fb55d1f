// Tests of the page in a browser. MACULA_PAGE_URL names a server that runs already; without it the mock server is started.
// The browser is Debian's: playwright downloads none.
import { execFileSync } from "node:child_process";
import { defineConfig } from "@playwright/test";

function browser(): string {
  for (const name of ["chromium-headless-shell", "chromium"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      // The next one.
    }
  }
  throw new Error("no browser; install one: apt-get install -y chromium-headless-shell");
}

const given = process.env["MACULA_PAGE_URL"];
const PORT = 8018;

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.ts",
  outputDir: "../test-results",
  // One memory on the server: tests must not run beside each other.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: "list",
  use: {
    baseURL: given ?? `http://127.0.0.1:${PORT}/`,
    locale: "en-GB",
    launchOptions: { executablePath: browser(), args: ["--no-sandbox"] },
    screenshot: "only-on-failure",
    // A worker that answers for the server would hide what the server does; offline.spec.ts allows it.
    serviceWorkers: "block",
  },
  ...(given ? {} : { webServer: { command: `node build/mock.mjs --port ${PORT}`, cwd: "..", url: `http://127.0.0.1:${PORT}/`, reuseExistingServer: false } }),
});
