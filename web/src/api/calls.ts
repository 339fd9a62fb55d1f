// One function per request of the contract.
import { json, request, send } from "./client.ts";
import type * as T from "./types.ts";

type Retry = { onRetry?: (attempt: number) => void };

export const session = async () => (await (await send("/session")).json()) as T.Session;
export const pair = (code: string) => json<{ token: string }>("/pair", { method: "POST", json: { code } });
export const pairing = () => json<T.Pairing>("/pairing");
export const device = () => json<T.Device>("/device");

export const classes = () => json<T.Classes>("/classes");
export const addClass = (name: string) => json<{ slot: number; new: boolean }>("/classes", { method: "POST", json: { name } });
export const renameClass = (slot: number, name: string) => request(`/classes/${slot}`, { method: "PATCH", json: { name } });
export const removeClass = (slot: number) => json<{ samples: number }>(`/classes/${slot}`, { method: "DELETE" });

export const samples = () => json<T.Samples>("/samples");
// An image is recognised by its pixels: sending it again changes nothing.
export const teach = (image: Blob, slot: number, operator: number, retry: Retry = {}) =>
  json<T.Learned>("/samples", { method: "POST", query: { class: slot, operator }, body: image, repeatable: true, ...retry });
export const moveSample = (source: T.Source, slot: number) =>
  json<T.Learned>(`/samples/${source}`, { method: "PATCH", json: { class: slot } });
export const forgetSample = (source: T.Source) => json<{ class: number }>(`/samples/${source}`, { method: "DELETE" });

export const predict = (image: Blob, errorRate: number) =>
  json<T.Prediction>("/predictions", { method: "POST", query: { error_rate: errorRate }, body: image, repeatable: true });
export const preview = async (image: Blob) =>
  (await request("/previews", { method: "POST", body: image, repeatable: true })).blob();
export const heatMap = async (image: Blob) =>
  (await request("/predictions/heat-map", { method: "POST", body: image, repeatable: true })).blob();
export const picture = async (path: string, size: number) => (await request(path, { query: { size }, repeatable: true })).blob();

export const quality = (errorRate: number) => json<T.Quality>("/quality", { query: { error_rate: errorRate } });
export const settings = () => json<T.Settings>("/settings");
export const saveSettings = (value: T.Settings) => json<T.Settings>("/settings", { method: "PUT", json: value, repeatable: true });

export const setOperatingPoint = (point: T.OperatingPoint) =>
  json<T.OperatingPointReport>("/operating-point", { method: "PUT", json: point, repeatable: true });
export const clearOperatingPoint = () => request("/operating-point", { method: "DELETE", repeatable: true });

export const queue = (limit: number) => json<T.Queue>("/queue", { query: { limit } });
export const enqueue = (image: Blob, name: string, retry: Retry = {}) =>
  json<{ id: T.Source; new: boolean; images: number }>("/queue", { method: "POST", query: { name }, body: image, repeatable: true, ...retry });
export const labelQueued = (id: T.Source, slot: number, operator: number) =>
  json<T.Learned>(`/queue/${id}/label`, { method: "POST", json: { class: slot, operator } });
export const dropQueued = (id: T.Source) => request(`/queue/${id}`, { method: "DELETE" });

export const undo = (revision?: number) =>
  json<{ undone: T.UndoStep; undo: T.UndoStep | null }>("/undo", { method: "POST", query: { revision } });
export const exportState = async () => (await request("/state")).blob();
export const importState = (file: Blob, operator: number) =>
  json<{ learned: number; known: number; classes_added: number }>("/state", { method: "POST", query: { operator }, body: file });
export const audit = (limit: number) => json<{ entries: T.AuditEntry[] }>("/audit", { query: { limit } });
