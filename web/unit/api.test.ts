import assert from "node:assert/strict";
import { File as NodeFile } from "node:buffer";
import { afterEach, test } from "node:test";
import { request, send, setToken, urlOf } from "../src/api/client.ts";
import { Failure, failureOf } from "../src/api/failure.ts";
import { takeEvents } from "../src/api/stream.ts";
import { batches, upload } from "../src/state/uploads.ts";

// Node 18 has the class, but not as a global.
globalThis.File ??= NodeFile as unknown as typeof File;

const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** Answers in turn; an Error is thrown as the network's. */
function answers(...list: (Response | Error)[]): RequestInit[] {
  const calls: RequestInit[] = [];
  globalThis.fetch = async (_url, options) => {
    calls.push(options ?? {});
    const next = list.shift();
    if (!next || next instanceof Error) throw next ?? new Error("no answer left");
    return next;
  };
  return calls;
}

const busy = () => new Response(JSON.stringify({ error: { kind: "busy", message: "" } }), { status: 503 });

test("an answer that is not of the contract is a failure by its status", () => {
  assert.equal(failureOf(413, "<html>").kind, "too-large");
  assert.equal(failureOf(502, "").kind, "device-fault");
  const failure = failureOf(409, JSON.stringify({ error: { kind: "exists", message: "m", found: 3 } }));
  assert.deepEqual([failure.kind, failure.message, failure.details.found], ["exists", "m", 3]);
});

test("a request carries the token and the type of its body", async () => {
  const calls = answers(new Response("{}"), new Response("{}"));
  setToken("secret");
  await send("/samples", { method: "POST", body: new Blob(["x"], { type: "image/png" }) });
  await send("/classes", { method: "POST", json: {} });
  setToken(null);
  assert.deepEqual(calls.map((call) => call.headers), [
    { Authorization: "Bearer secret", "Content-Type": "image/png" },
    { Authorization: "Bearer secret", "Content-Type": "application/json" },
  ]);
  assert.equal(urlOf("/queue", { name: "a b&c.png", limit: undefined }), "api/v1/queue?name=a+b%26c.png");
});

test("a change is not sent again when the network fails, unless it is safe", async () => {
  let calls = answers(new TypeError("down"), new Response("{}"));
  await assert.rejects(request("/undo", { method: "POST" }), (thrown: Failure) => thrown.kind === "network");
  assert.equal(calls.length, 1);
  calls = answers(new TypeError("down"), new Response("{}"));
  const retries: number[] = [];
  await request("/samples", { method: "POST", repeatable: true, onRetry: (attempt) => retries.push(attempt) });
  assert.deepEqual([calls.length, retries], [2, [1]]);
});

test("a busy device is asked again", async () => {
  const calls = answers(busy(), new Response("{}"));
  await request("/undo", { method: "POST" });
  assert.equal(calls.length, 2);
});

test("events are taken from a stream in pieces", () => {
  const first = takeEvents(": alive\n\nevent: change\ndata: {\"revision\":1}\n\nevent: pro");
  assert.deepEqual(first, { events: [{ event: "change", data: "{\"revision\":1}" }], rest: "event: pro" });
  const second = takeEvents(first.rest + "gress\r\ndata: a\r\ndata: b\r\n\r\n");
  assert.deepEqual(second, { events: [{ event: "progress", data: "a\nb" }], rest: "" });
});

test("a batch goes on after a file that fails and names it", async () => {
  const files = ["a.png", "b.png", "c.png"].map((name) => new File(["x"], name));
  await upload("class 0", files, async (_file, name) => {
    if (name === "b.png") throw new Failure("unsupported-type", "not an image");
    return { new: name !== "c.png" };
  });
  const [batch] = batches.value;
  assert.deepEqual([batch!.done, batch!.known, batch!.failed.map((one) => one.name), batch!.running], [3, ["c.png"], ["b.png"], false]);
});

test("a batch without failures leaves nothing, and one without a device stops", async () => {
  batches.set([]);
  await upload("queue", [new File(["x"], "a.png")], async () => ({ new: true }));
  assert.equal(batches.value.length, 0);
  let sent = 0;
  await upload("queue", [new File(["x"], "a.png"), new File(["y"], "b.png")], async () => {
    sent++;
    throw new Failure("network", "down");
  });
  assert.deepEqual([sent, batches.value[0]!.failed.length], [1, 2]);
});
