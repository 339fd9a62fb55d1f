// The page of the program itself: MACULA_PROGRAM names it, MACULA_DATA the folder of datasets for real x-rays.
import base from "./playwright.config.ts";

const { webServer: _, ...config } = base;
export default { ...config, testMatch: "device.e2e.ts", timeout: 180_000 };
