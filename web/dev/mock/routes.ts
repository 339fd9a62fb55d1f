import type { IncomingMessage } from "node:http";
import type { OperatingPoint, Settings } from "../../src/api/types.ts";
import * as answers from "./answers.ts";
import { featureOf, previewOf, sourceOf } from "./model.ts";
import { Refused, type State } from "./state.ts";

/** An answer: JSON, or bytes with their type. */
export type Answer = { json: unknown } | { bytes: Buffer; type: string; name?: string };
const ok = (json: unknown): Answer => ({ json });

export interface Call { method: string; path: string; query: URLSearchParams; body: Buffer; request: IncomingMessage }

const typeOf = (bytes: Buffer) => (bytes[0] === 0x89 ? "image/png" : bytes[0] === 0xff ? "image/jpeg" : "application/octet-stream");

function image(body: Buffer): Buffer {
  if (body.length > answers.LIMITS.upload_bytes) throw new Refused(413, "too-large", `${body.length} bytes`, { limit: answers.LIMITS.upload_bytes });
  const jpeg = body[0] === 0xff && body[1] === 0xd8, tiff = /^(II\*|MM\0)/.test(body.toString("latin1", 0, 3));
  if (!jpeg && !tiff && typeOf(body) !== "image/png") throw new Refused(415, "unsupported-type", "neither PNG nor JPEG nor TIFF");
  return body;
}

/** The request of the contract that a call is. */
export function answer(state: State, { method, path, query, body }: Call): Answer {
  const { classes, samples, queue } = state.memory;
  const [what = "", id = "", part = ""] = path.split("/").filter(Boolean);
  const json = <T>() => JSON.parse(body.toString() || "{}") as T;
  const number = (name: string) => Number(query.get(name) ?? 0);
  switch (`${method} ${what}${id ? "/:id" : ""}${part ? `/${part}` : ""}`) {
    case "GET device": return ok(answers.device(state));
    case "GET classes": return ok({ revision: state.revision, classes: [...classes].map(([slot, name]) => ({ slot, name, samples: state.count(slot) })) });
    case "POST classes": return ok(state.addClass(json<{ name: string }>().name));
    case "PATCH classes/:id": {
      const slot = Number(id), { name } = json<{ name: string }>(), before = state.name(slot);
      if ([...classes].some(([other, known]) => known === name && other !== slot)) throw new Refused(409, "exists", `class ${name} exists`);
      state.change({ action: "rename-class", class: before, samples: 0 }, {}, () => classes.set(slot, name));
      return ok({});
    }
    case "DELETE classes/:id": {
      const slot = Number(id), name = state.name(slot), count = state.count(slot);
      state.change({ action: "remove-class", class: name, samples: count }, {}, () => {
        classes.delete(slot);
        if (state.point?.class === slot) state.point = null;
        for (const one of [...samples.values()]) if (one.class === slot) samples.delete(one.source);
      });
      return ok({ samples: count });
    }
    case "GET samples": {
      const list = [...samples.values()].filter((one) => !query.has("class") || one.class === number("class")).sort((a, b) => b.time_s - a.time_s);
      return ok({ revision: state.revision, samples: list.map(({ source, class: slot, operator, time_s, bytes }) => ({ source, class: slot, operator, time_s, image: bytes !== null })) });
    }
    case "POST samples": return ok(state.learn(image(body), number("class"), number("operator")));
    case "GET samples/:id/image": return picture(known(samples.get(id)).bytes);
    case "PATCH samples/:id": {
      const sample = known(samples.get(id)), to = json<{ class: number }>().class, name = state.name(to);
      state.change({ action: "move", class: name, samples: 1 }, { samples: [id] }, () => samples.set(id, { ...sample, class: to }));
      return ok({ source: id, class: to, new: false, samples: state.count(to), elapsed_ms: 1 });
    }
    case "DELETE samples/:id": {
      const sample = known(samples.get(id));
      state.change({ action: "forget", class: state.name(sample.class), samples: 1 }, { samples: [id] }, () => samples.delete(id));
      return ok({ class: sample.class });
    }
    case "POST predictions": return ok(answers.predict(state, sourceOf(image(body)), featureOf(body), number("error_rate")));
    // The mock has no heat map: it shows the preview.
    case "POST predictions/:id":
    case "POST previews": {
      const bytes = previewOf(image(body));
      if (!bytes) throw new Refused(422, "refused", "the mock reads PNG only");
      return { bytes, type: "image/png" };
    }
    case "GET quality": return ok(answers.quality(state));
    case "GET settings": return ok(state.settings);
    case "PUT settings": return ok((state.settings = json<Settings>()));
    case "PUT operating-point": {
      const point = json<OperatingPoint>(), name = state.name(point.class);
      state.change(null, { action: "operating-point", class: name }, () => (state.point = point));
      return ok(answers.operatingPoint(state));
    }
    case "DELETE operating-point":
      state.change(null, { action: "clear-operating-point" }, () => (state.point = null));
      return ok({});
    case "GET queue": return ok(answers.queue(state, Number(query.get("limit") ?? 50)));
    case "POST queue": return ok(state.enqueue(image(body), query.get("name") ?? ""));
    case "GET queue/:id/image": return picture(known(queue.get(id)).bytes);
    case "POST queue/:id/label": {
      const { class: slot, operator } = json<{ class: number; operator: number }>();
      return ok(state.learn(known(queue.get(id)).bytes, slot, operator));
    }
    case "DELETE queue/:id":
      known(queue.get(id));
      queue.delete(id);
      state.onChange();
      return ok({});
    case "POST undo":
      if (query.has("revision") && number("revision") !== state.revision) throw new Refused(422, "refused", "another revision");
      return ok({ undone: state.undoLast(), undo: state.undo });
    case "GET state": return { bytes: Buffer.from("PK\x05\x06" + "\0".repeat(18), "latin1"), type: "application/zip", name: "state.zip" };
    case "POST state": return ok({ learned: 0, known: samples.size, classes_added: 0 });
    case "GET audit": return ok({ entries: state.audit.slice(0, number("limit") || 100) });
    default: throw new Refused(404, "not-found", `${method} ${path}`);
  }
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Refused(404, "unknown-sample", "no such image");
  return value;
}

function picture(bytes: Buffer | null): Answer {
  if (!bytes) throw new Refused(404, "not-found", "no picture kept");
  return { bytes, type: typeOf(bytes) };
}
