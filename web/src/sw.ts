// Keeps the shell of the page, so that it opens without the device. Answers of the device are never kept.
declare const SHELL: string[];
declare const VERSION: string;

// The library types of TypeScript cannot describe a page and a worker in one program.
const worker = self as unknown as EventTarget & {
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  registration: { scope: string };
};

type Extendable = Event & { waitUntil(promise: Promise<unknown>): void };
type FetchLike = Event & { request: Request; respondWith(answer: Promise<Response>): void };

const CACHE = `macula-${VERSION}`;
/** After this time without an answer the kept copy is shown. */
const PATIENCE_MS = 3000;

worker.addEventListener("install", (event) => {
  (event as Extendable).waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) if (name.startsWith("macula-") && name !== CACHE) await caches.delete(name);
    await worker.clients.claim();
  };
  (event as Extendable).waitUntil(clean());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event as FetchLike;
  const url = new URL(request.url);
  const path = url.href.startsWith(worker.registration.scope) ? url.href.slice(worker.registration.scope.length).replace(/[?#].*/, "") : null;
  if (request.method !== "GET" || path === null || !SHELL.includes(path || "./")) return;
  (event as FetchLike).respondWith(shell(request, path || "./"));
});

/** The device's own file if it answers in time, so that page and server are of the same version; the kept one otherwise. */
async function shell(request: Request, path: string): Promise<Response> {
  const kept = await caches.match(path, { cacheName: CACHE });
  const fresh = fetch(request);
  if (!kept) return fresh;
  const late = new Promise<Response>((resolve) => setTimeout(() => resolve(kept), PATIENCE_MS));
  return Promise.race([fresh.then((answer) => (answer.ok ? answer : kept), () => kept), late]);
}

export {};
