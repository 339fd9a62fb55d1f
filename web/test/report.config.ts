// The reports that the program writes, opened as files: MACULA_PROGRAM names it. MACULA_PICTURES names a folder for pictures of them.
import base from "./playwright.config.ts";

const { webServer: _, ...config } = base;
export default { ...config, testMatch: "report.e2e.ts", timeout: 180_000 };
