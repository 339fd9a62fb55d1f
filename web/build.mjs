// Build the page into dist/. The same sources give the same bytes on every machine: no dates, no random names.
// With --unit or --mock: the unit tests or the mock server, into build/.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const flag = (name) => process.argv.includes(name);
const common = { bundle: true, charset: "utf8", legalComments: "none", logLevel: "warning" };
const forNode = { ...common, platform: "node", format: "esm", target: "node18", jsx: "automatic", jsxImportSource: "preact" };

if (flag("--unit")) {
  rmSync("build/unit", { recursive: true, force: true });
  const entryPoints = readdirSync("unit").filter((name) => name.endsWith(".test.ts")).map((name) => `unit/${name}`);
  await build({ ...forNode, entryPoints, outdir: "build/unit", outExtension: { ".js": ".mjs" } });
} else if (flag("--mock")) {
  await build({ ...forNode, entryPoints: ["dev/mock.ts"], outfile: "build/mock.mjs" });
} else {
  await page();
}

async function page() {
  rmSync("dist", { recursive: true, force: true });
  mkdirSync("dist");
  cpSync("static", "dist", { recursive: true });
  const browser = { ...common, minify: true, target: ["es2022", "safari16", "firefox115", "chrome110"] };
  const jsx = { tsconfigRaw: { compilerOptions: { jsx: "react", jsxFactory: "h", jsxFragmentFactory: "F" } }, inject: ["src/jsx.ts"] };
  await build({ ...browser, ...jsx, entryPoints: { app: "src/main.tsx" }, outdir: "dist", format: "esm", plugins: [shortKeys()] });
  await build({ ...browser, entryPoints: { app: "src/style/app.css" }, outdir: "dist" });
  await catalogues();
  // The cache of the service worker is named after what it holds.
  const shell = readdirSync("dist").sort();
  const hash = createHash("sha256");
  for (const name of shell) hash.update(name).update(readFileSync(`dist/${name}`));
  const define = { SHELL: JSON.stringify(["./", ...shell]), VERSION: JSON.stringify(hash.digest("hex").slice(0, 16)) };
  await build({ ...browser, entryPoints: { sw: "src/sw.ts" }, outdir: "dist", format: "iife", define });
  for (const name of readdirSync("dist").sort()) console.log(`${String(readFileSync(`dist/${name}`).length).padStart(8)}  ${name}`);
}

// Each language other than English is a JSON file of its own, which the page loads when it needs it.
async function catalogues() {
  for (const name of readdirSync("src/messages").filter((name) => /^[a-z]{2}\.ts$/.test(name) && name !== "en.ts")) {
    const language = name.slice(0, 2);
    const bundle = await build({ ...common, entryPoints: [`src/messages/${name}`], format: "esm", write: false, plugins: [shortKeys()] });
    const module = await import(`data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`);
    writeFileSync(`dist/${language}.json`, JSON.stringify(module[language]) + "\n");
  }
}

// Replaces the keys of messages by short ones: they are a tenth of the program otherwise. Keys that the program puts together
// (`error.${kind}`) and keys without a dot, which could be other words, stay.
function shortKeys() {
  const sources = readdirSync("src", { withFileTypes: true, recursive: true })
    .filter((entry) => /\.tsx?$/.test(entry.name)).map((entry) => readFileSync(`${entry.parentPath ?? entry.path}/${entry.name}`, "utf8"));
  const together = sources.flatMap((text) => [...text.matchAll(/\bt\(`([a-z.]+)\$\{/g)].map((match) => match[1]));
  const keys = [...readFileSync("src/messages/en.ts", "utf8").matchAll(/^  "([^"]+)":/gm)].map((match) => match[1]);
  const short = new Map(keys.filter((key) => key.includes(".") && !together.some((start) => key.startsWith(start)))
    .map((key, index) => [key, index.toString(36)]));
  return {
    name: "short-keys",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]src[\\/].*\.tsx?$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        return { contents: text.replace(/"([a-z.-]+)"/g, (whole, key) => (short.has(key) ? `"${short.get(key)}"` : whole)), loader: path.endsWith("x") ? "tsx" : "ts" };
      });
    },
  };
}
