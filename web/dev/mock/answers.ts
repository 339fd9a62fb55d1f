// What the mock server computes from its memory.
import type { Device, OperatingPointReport, Prediction, Quality, Queue } from "../../src/api/types.ts";
import { classify, INPUT, KNOWN, similarity, wilson } from "./model.ts";
import { now, type Kept, type State } from "./state.ts";

export const LIMITS = { upload_bytes: 8 << 20, image_pixels: 50_000_000, name_bytes: 63 };

export function device(state: State): Device {
  const { samples, classes, queue } = state.memory;
  return {
    name: "ward-3 mock", program: "macula 0.1.0 (mock)",
    encoder: { name: "grey-64", identity: "5f1c9a77e0b24d6695c3aa2b7d1e4f80", feature_dim: 256, input: { width: INPUT, height: INPUT, channels: 1 } },
    samples: samples.size, samples_limit: 512, classes: classes.size, classes_limit: 16, revision: state.revision, now_s: now(),
    store: {
      bytes_programmed: state.learned * 620 + 4096, erases: 3, free_bytes: (1 << 20) - samples.size * 600,
      learned: state.learned, learned_bytes: state.learned * 604, learned_erases: Math.round(state.learned / 8),
    },
    bundle: {
      slot: 1, sha256: "9b74c9897bac770ffc029102a200c5de3c5f0b5c6b1a2d9b8e7f6a5b4c3d2e1f", counter: 4, state: "confirmed",
      attempts: null, reason: null, bytes_received: 0, bytes_expected: 0,
    },
    operating_point: operatingPoint(state), keeps_images: true, undo: state.undo, queue: { images: queue.size, images_limit: 1000 }, limits: LIMITS, state_sha256: state.hash(),
  };
}

type Short = Omit<Prediction, "nearest" | "elapsed_ms" | "operating_point">;

/** Log odds of a class; null without a sample of it or of another one. */
function scoreOf(feature: Float64Array, samples: Kept[], slot: number): number | null {
  const answer = classify(feature, samples);
  const p = answer?.probabilities[answer.slots.indexOf(slot)];
  return p === undefined ? null : Math.log(Math.max(p, 1e-12)) - Math.log(Math.max(1 - p, 1e-12));
}

export function operatingPoint(state: State): OperatingPointReport | null {
  const point = state.point;
  if (!point) return null;
  const samples = [...state.memory.samples.values()];
  const scores = (positive: boolean) => samples.filter((one) => (one.class === point.class) === positive)
    .map((one) => scoreOf(one.feature, samples.filter((other) => other !== one), point.class))
    .filter((found) => found !== null).sort((a, b) => a - b);
  const positives = scores(true), negatives = scores(false), { target } = point;
  const share = target.kind === "costs" ? null : target.share, of = target.kind === "specificity" ? negatives : positives;
  // The mock has one rule for costs, too: the lowest score of a positive.
  const place = target.kind === "specificity" ? Math.ceil((of.length + 1) * target.share) - 1 : share === null ? 0 : Math.floor((of.length + 1) * (1 - share)) - 1;
  const found = of[Math.min(Math.max(place, 0), of.length - 1)];
  const threshold = found === undefined ? null : target.kind === "specificity" ? found + 1e-6 : found;
  const needed = share === null ? 1 : Math.ceil(Math.round(1e6 / (1 - share)) / 1e6) - 1;
  const most = Math.floor((of.length * 1000) / (of.length + 1)) / 1000;
  return {
    ...point, threshold,
    sensitivity: threshold === null ? null : wilson(positives.filter((one) => one >= threshold).length, positives.length),
    specificity: threshold === null ? null : wilson(negatives.filter((one) => one < threshold).length, negatives.length),
    promise: share === null || threshold === null ? null : Math.min(share, most), samples_needed: needed, enough: of.length >= needed,
  };
}

export function decide(source: string, feature: Float64Array, samples: Kept[], errorRate: number): Short {
  const learned = samples.find((one) => one.source === source)?.class ?? null;
  const answer = classify(feature, samples);
  const counts = new Map<number, number>();
  for (const one of samples) counts.set(one.class, (counts.get(one.class) ?? 0) + 1);
  const shots_needed = Math.ceil(1 / errorRate) - 1;
  const enough = Math.min(...counts.values()) >= shots_needed;
  if (!answer) return { source, learned, decision: "untaught", class: null, probability: null, known: false, set: [], enough: false, shots_needed, positive: null, score: null };
  const best = Math.max(...answer.probabilities), first = answer.slots[answer.probabilities.indexOf(best)]!;
  const known = answer.nearest >= KNOWN;
  const set = answer.slots.filter((_, i) => answer.probabilities[i]! > best * 0.14);
  const decision = !known ? "unknown" : set.length > 1 ? "several" : "class";
  return { source, learned, decision, class: first, probability: best, known, set, enough, shots_needed, positive: null, score: null };
}

export function predict(state: State, source: string, feature: Float64Array, errorRate: number): Prediction {
  const samples = [...state.memory.samples.values()];
  const nearest = samples
    .map((one) => ({ source: one.source, class: one.class, similarity: similarity(feature, one.feature), operator: one.operator, time_s: one.time_s, image: one.bytes !== null }))
    .sort((a, b) => b.similarity - a.similarity).slice(0, 5);
  const point = operatingPoint(state), decided = decide(source, feature, samples, errorRate);
  const score = point && scoreOf(feature, samples, point.class);
  const positive = score === null || point?.threshold == null || !["class", "several"].includes(decided.decision) ? null : score >= point.threshold;
  return { ...decided, positive, score, operating_point: point, nearest, elapsed_ms: 9 };
}

export function queue(state: State, limit: number): Queue {
  const samples = [...state.memory.samples.values()];
  const items = [...state.memory.queue.values()]
    .map(({ id, name, added_s, feature }) => ({ id, name, added_s, prediction: decide(id, feature, samples, state.settings.error_rate) }))
    .sort((a, b) => (a.prediction.probability ?? 0) - (b.prediction.probability ?? 0));
  return { images: state.memory.queue.size, images_limit: 1000, items: items.slice(0, limit) };
}

export function quality(state: State): Quality {
  const samples = [...state.memory.samples.values()];
  const slots = [...state.memory.classes.keys()].filter((slot) => state.count(slot) >= 2);
  const counts = slots.map(() => slots.map(() => 0)), unknown = slots.map(() => 0);
  const mistaken: Quality["mistaken"] = [];
  const tested = slots.length >= 2 ? samples.filter((one) => slots.includes(one.class)) : [];
  for (const one of tested) {
    const row = slots.indexOf(one.class);
    const answer = decide("", one.feature, samples.filter((other) => other !== one && slots.includes(other.class)), state.settings.error_rate);
    const predicted = answer.known ? answer.class : null;
    if (predicted === null) unknown[row]!++;
    else counts[row]![slots.indexOf(predicted)]!++;
    if (predicted !== one.class) mistaken.push({ source: one.source, class: one.class, predicted, probability: answer.probability ?? 0, image: one.bytes !== null });
  }
  const total = tested.length, row = (i: number) => counts[i]!.reduce((sum, count) => sum + count, unknown[i]!);
  const classes = [...state.memory.classes.keys()].map((slot) => {
    const i = slots.indexOf(slot);
    if (i < 0 || total === 0) return { slot, samples: state.count(slot), sensitivity: null, specificity: null };
    const others = total - row(i), falsely = counts.reduce((sum, line, j) => sum + (j === i ? 0 : line[i]!), 0);
    return { slot, samples: state.count(slot), sensitivity: wilson(counts[i]![i]!, row(i)), specificity: wilson(others - falsely, others) };
  });
  const right = counts.reduce((sum, line, i) => sum + line[i]!, 0);
  return {
    revision: state.revision, samples: samples.length, evaluated: total, left_out: 1, balanced_accuracy: wilson(right, total), classes,
    confusion: total ? { slots, counts, unknown } : { slots: [], counts: [], unknown: [] },
    mistaken: mistaken.sort((a, b) => b.probability - a.probability).slice(0, 50),
  };
}
