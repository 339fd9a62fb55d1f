// The memory of the mock server, with undo by snapshots.
import { createHash } from "node:crypto";
import type { AuditEntry, OperatingPoint, Settings, UndoStep } from "../../src/api/types.ts";
import { featureOf, sourceOf } from "./model.ts";
import { phantom } from "./phantoms.ts";

export interface Kept { source: string; class: number; operator: number; time_s: number; feature: Float64Array; bytes: Buffer | null }
export interface Waiting { id: string; name: string; added_s: number; feature: Float64Array; bytes: Buffer }
interface Memory { classes: Map<number, string>; samples: Map<string, Kept>; queue: Map<string, Waiting> }

export class Refused extends Error {
  constructor(readonly status: number, readonly kind: string, message: string, readonly more: object = {}) {
    super(message);
  }
}

export const now = () => Math.floor(Date.now() / 1000);

export class State {
  memory: Memory = { classes: new Map(), samples: new Map(), queue: new Map() };
  settings: Settings = { error_rate: 0.1, operators: [], goal: null };
  point: OperatingPoint | null = null;
  audit: AuditEntry[] = [];
  revision = 1;
  learned = 0;
  private steps: { step: UndoStep; before: Memory }[] = [];
  onChange: () => void = () => {};

  get undo(): UndoStep | null {
    return this.steps.at(-1)?.step ?? null;
  }

  private copy(): Memory {
    const { classes, samples, queue } = this.memory;
    return { classes: new Map(classes), samples: new Map([...samples].map(([key, value]) => [key, { ...value }])), queue: new Map(queue) };
  }

  change<T>(step: UndoStep | null, entry: Partial<AuditEntry>, action: () => T): T {
    const before = this.copy();
    const result = action();
    if (step) this.steps.push({ step, before });
    this.revision++;
    this.audit.unshift({ time_s: now(), client: "127.0.0.1", operator: null, action: step?.action ?? "undo", class: step?.class ?? null, samples: [], result: "done", ...entry });
    this.onChange();
    return result;
  }

  undoLast(): UndoStep {
    const last = this.steps.pop();
    if (!last) throw new Refused(404, "not-found", "nothing to undo");
    this.change(null, { class: last.step.class }, () => (this.memory = last.before));
    return last.step;
  }

  name(slot: number): string {
    const name = this.memory.classes.get(slot);
    if (name === undefined) throw new Refused(404, "unknown-class", `no class in slot ${slot}`);
    return name;
  }

  count(slot: number): number {
    return [...this.memory.samples.values()].filter((one) => one.class === slot).length;
  }

  addClass(name: string): { slot: number; new: boolean } {
    for (const [slot, known] of this.memory.classes) if (known === name) return { slot, new: false };
    let slot = 0;
    while (this.memory.classes.has(slot)) slot++;
    this.change({ action: "add-class", class: name, samples: 0 }, {}, () => this.memory.classes.set(slot, name));
    return { slot, new: true };
  }

  learn(bytes: Buffer, slot: number, operator: number, time_s = now()) {
    const name = this.name(slot), source = sourceOf(bytes), known = this.memory.samples.get(source);
    if (known && known.class !== slot) throw new Refused(409, "exists", `the image is a sample of ${this.name(known.class)}`, { found: known.class });
    if (!known) {
      this.change({ action: "learn", class: name, samples: 1 }, { operator, samples: [source] }, () => {
        this.memory.samples.set(source, { source, class: slot, operator, time_s, feature: featureOf(bytes), bytes });
        this.memory.queue.delete(source);
      });
      this.learned++;
    }
    return { source, class: slot, new: !known, samples: this.count(slot), elapsed_ms: 12 };
  }

  enqueue(bytes: Buffer, name: string) {
    const id = sourceOf(bytes), known = this.memory.samples.get(id);
    if (known) throw new Refused(409, "exists", "the image is a sample already", { found: known.class });
    const isNew = !this.memory.queue.has(id);
    if (isNew) this.memory.queue.set(id, { id, name, added_s: now(), feature: featureOf(bytes), bytes });
    this.onChange();
    return { id, new: isNew, images: this.memory.queue.size };
  }

  hash(): string {
    return createHash("sha256").update([...this.memory.samples.keys()].sort().join() + [...this.memory.classes].join()).digest("hex");
  }

  /** Three classes with samples, two operators, a queue: something to look at. */
  fill(): void {
    this.settings.operators = [{ number: 7, name: "Dr Adler" }, { number: 12, name: "M. Ortiz" }];
    this.settings.goal = { class: 0, sensitivity: 0.9, specificity: 0.8 };
    const week = 7 * 86400;
    for (const [name, kind, count] of [["Pneumonia", "disc", 14], ["Normal", "stripes", 12], ["Effusion", "ring", 5]] as const) {
      const { slot } = this.addClass(name);
      for (let i = 0; i < count; i++) {
        this.learn(phantom(kind, i), slot, i % 3 ? 7 : 12, now() - week + Math.round((week * i) / count));
      }
    }
    const odd = this.learn(phantom("ring", 90), 0, 12);
    this.memory.samples.get(odd.source)!.bytes = null;
    for (let i = 0; i < 9; i++) this.enqueue(phantom((["disc", "ring", "stripes"] as const)[i % 3]!, 200 + i), `ward/scan-${i + 1}.png`);
  }
}
