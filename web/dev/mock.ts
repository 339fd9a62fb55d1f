// A server of the contract in memory, for development and tests of the page. It serves dist/ as the real one does.
//   node build/mock.mjs [--port 8017] [--empty] [--token] [--slow MS] [--api http://localhost:7001]
// With --token a browser must pair; the code is 123456. With --api the page of dist/ speaks to a real server.
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { forward } from "./mock/forward.ts";
import { answer, type Answer } from "./mock/routes.ts";
import { Refused, State } from "./mock/state.ts";

const option = (name: string) => process.argv.includes(name) && process.argv[process.argv.indexOf(name) + 1];
const port = Number(option("--port") || 8017), slow = Number(option("--slow") || 0), guarded = process.argv.includes("--token"), real = option("--api");
const TOKEN = "mock-token", CODE = "123456";
const state = new State();
if (!process.argv.includes("--empty")) state.fill();

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", json: "application/json",
  svg: "image/svg+xml", png: "image/png", webmanifest: "application/manifest+json",
};
const HEADERS = {
  "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache",
};
const listeners = new Set<ServerResponse>();
const tell = () => listeners.forEach((one) => one.write(`event: change\ndata: ${JSON.stringify({ revision: state.revision, queue: state.memory.queue.size })}\n\n`));
state.onChange = tell;
setInterval(() => listeners.forEach((one) => one.write(": alive\n\n")), 15_000).unref();

function sendAnswer(response: ServerResponse, value: Answer): void {
  if ("json" in value) response.writeHead(200, { ...HEADERS, "Content-Type": "application/json" }).end(JSON.stringify(value.json));
  else response.writeHead(200, { ...HEADERS, "Content-Type": value.type }).end(value.bytes);
}

const QR = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 25 25" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h25v25H0z"/><path d="${Array.from({ length: 625 }, (_, i) => ((i * i * 7) % 11 < 5 ? `M${i % 25} ${Math.floor(i / 25)}h1v1h-1z` : "")).join("")}"/></svg>`;

function api(request: IncomingMessage, response: ServerResponse, url: URL, body: Buffer): void {
  const path = url.pathname.slice("/api/v1".length), call = `${request.method} ${path}`;
  const authorised = !guarded || request.headers.authorization === `Bearer ${TOKEN}`;
  if (call === "GET /session") return sendAnswer(response, { json: { token_required: guarded, authorised, version: "mock" } });
  if (call === "POST /pair") {
    if (JSON.parse(body.toString()).code !== CODE) throw new Refused(401, "unauthorised", "wrong code");
    return sendAnswer(response, { json: { token: TOKEN } });
  }
  if (!authorised) throw new Refused(401, "unauthorised", "no token");
  if (call === "GET /pairing") return sendAnswer(response, { json: { url: `http://ward-3.local:${port}/#code=${CODE}`, code: CODE, qr_svg: QR, expires_s: Math.floor(Date.now() / 1000) + 300 } });
  if (call === "GET /events") {
    response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream" }).write(": hello\n\n");
    listeners.add(response);
    response.on("close", () => listeners.delete(response));
    return;
  }
  sendAnswer(response, answer(state, { method: request.method!, path, query: url.searchParams, body, request }));
}

function file(response: ServerResponse, path: string): void {
  const name = path === "/" ? "index.html" : path.slice(1);
  if (!/^[\w.-]+$/.test(name)) throw new Refused(404, "not-found", path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(`dist/${name}`);
  } catch {
    throw new Refused(404, "not-found", path);
  }
  response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[name.split(".").pop()!] ?? "application/octet-stream" }).end(bytes);
}

createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const url = new URL(request.url!, "http://mock");
  if (slow && url.pathname.startsWith("/api")) await new Promise((resolve) => setTimeout(resolve, slow));
  try {
    if (url.pathname.startsWith("/api/v1/") && real) forward(real, request, response, Buffer.concat(parts));
    else if (url.pathname.startsWith("/api/v1/")) api(request, response, url, Buffer.concat(parts));
    else file(response, url.pathname);
  } catch (thrown) {
    const { status, kind, message, more } = thrown instanceof Refused ? thrown : { status: 500, kind: "device-fault", message: String(thrown), more: {} };
    response.writeHead(status, { ...HEADERS, "Content-Type": "application/json" }).end(JSON.stringify({ error: { kind, message, ...more } }));
  }
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
