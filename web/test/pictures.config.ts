// Pictures for the documentation, and the time until the page can be used on a slow phone: npm run pictures.
import base from "./playwright.config.ts";

const { webServer: _, ...config } = base;
export default { ...config, testMatch: "pictures.ts", timeout: 300_000 };
