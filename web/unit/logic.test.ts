import assert from "node:assert/strict";
import { test } from "node:test";
import type { Class, OperatingPointReport, Sample } from "../src/api/types.ts";
import { headline, promise, reason, type Answer } from "../src/logic/decision.ts";
import { looksLikeImage } from "../src/logic/files.ts";
import { bytes, either, interval, probability, readPercent, shortHash } from "../src/logic/format.ts";
import { goalState } from "../src/logic/goal.ts";
import { decisionAt, pointText, promiseText, readTarget } from "../src/logic/point.ts";
import { lastPart } from "../src/logic/names.ts";
import { summarise } from "../src/logic/record.ts";
import { fit } from "../src/logic/shrink.ts";
import { readFragment } from "../src/state/route.ts";

const NAMES = ["Pneumonia", "normal", "effusion"];
const nameOf = (slot: number) => NAMES[slot]!;
const answer = (part: Partial<Answer>): Answer => ({ decision: "class", class: 0, known: true, set: [0], enough: true, shots_needed: 9, ...part });

test("an answer is put in words", () => {
  assert.equal(headline(answer({}), nameOf), "Pneumonia");
  assert.equal(headline(answer({ decision: "several", set: [0, 1] }), nameOf), "Pneumonia or normal");
  assert.equal(headline(answer({ decision: "several", set: [0, 1, 2] }), nameOf), "Pneumonia, normal, or effusion");
  assert.equal(headline(answer({ decision: "unknown", class: null }), nameOf), "I don’t know");
  assert.equal(headline(answer({ decision: "untaught", class: null }), nameOf), "Teach two classes first");
});

const POINT: OperatingPointReport = {
  class: 0, target: { kind: "sensitivity", share: 0.95 }, threshold: -1.5, promise: 0.95, samples_needed: 19, enough: true,
  sensitivity: { value: 0.95, low: 0.76, high: 0.99, of: 20 }, specificity: { value: 0.5, low: 0.3, high: 0.7, of: 20 },
};

test("a decision at an operating point is put in words", () => {
  assert.equal(pointText(POINT, nameOf), "Pneumonia: sensitivity of at least 95%");
  const at = (positive: boolean | null, score: number | null, threshold: number | null = POINT.threshold) =>
    decisionAt({ positive, score, operating_point: { ...POINT, threshold } }, nameOf)!;
  assert.equal(at(true, 0.254).text, "Positive for Pneumonia");
  assert.match(at(true, 0.254).detail, /sensitivity of at least 95%\. Score 0\.25, threshold -1\.50\./);
  assert.equal(at(false, -2).text, "Negative for Pneumonia");
  assert.equal(at(null, -2).text, "No decision on Pneumonia");
  assert.match(at(null, null, null).text, /^No threshold yet/);
  assert.equal(decisionAt({ positive: null, score: null, operating_point: null }, nameOf), null);
});

test("an operating point promises what its samples allow", () => {
  assert.match(promiseText(POINT, nameOf)!, /95%/);
  assert.match(promiseText({ ...POINT, promise: 0.888, enough: false }, nameOf)!, /88\.8% is promised, 19 samples/);
  assert.match(promiseText({ ...POINT, threshold: null }, nameOf)!, /Pneumonia/);
  assert.equal(promiseText({ ...POINT, target: { kind: "costs", missed: 20, false_alarm: 1 }, promise: null }, nameOf), null);
});

test("targets are read in range", () => {
  assert.deepEqual(readTarget("specificity", 0.9, ["", ""]), { kind: "specificity", share: 0.9 });
  assert.deepEqual(readTarget("costs", null, ["20", " 1 "]), { kind: "costs", missed: 20, false_alarm: 1 });
  for (const share of [null, 0, 1, 0.9995]) assert.equal(readTarget("sensitivity", share, ["1", "1"]), null);
  for (const costs of [["0", "1"], ["1.5", "1"], ["1", "10001"], ["1", ""]]) assert.equal(readTarget("costs", 0.5, costs), null);
});

test("an unknown image is told from one that fits no class", () => {
  assert.notEqual(reason(answer({ decision: "unknown", known: false })), reason(answer({ decision: "unknown", known: true })));
});

test("a prediction set promises only what it can hold", () => {
  assert.match(promise(answer({}), 0.1)!.text, /Among 100 .* at most 10\./);
  assert.match(promise(answer({}), 0.005)!.text, /Among 1,000 .* at most 5\./);
  assert.deepEqual(promise(answer({ enough: false }), 0.1)!.holds, false);
  assert.equal(promise(answer({ decision: "untaught" }), 0.1), null);
  assert.equal(promise(answer({ decision: "unknown", known: false }), 0.1), null);
});

test("a probability is never rounded to certainty", () => {
  assert.equal(probability(0.9999), ">\u200999%");
  assert.equal(probability(0.0001), "<\u20091%");
  assert.equal(probability(1), "100%");
  assert.equal(probability(0.874), "87%");
});

test("figures are written with units", () => {
  assert.equal(bytes(512), "512\u00a0B");
  assert.equal(bytes(1536), "1.5\u00a0KiB");
  assert.equal(bytes(8 << 20), "8\u00a0MiB");
  assert.equal(interval({ value: 0.84, low: 0.71, high: 0.92, of: 40 }), "84% (71–92%)");
  assert.equal(shortHash("5f1c9a77e0b24d66"), "5f1c\u00a09a77\u00a0e0b2");
  assert.equal(either(["a", "b"]), "a or b");
});

test("percentages are read as people write them", () => {
  assert.equal(readPercent("90"), 0.9);
  assert.equal(readPercent(" 0,5 %"), 0.005);
  for (const bad of ["", "x", "-1", "101"]) assert.equal(readPercent(bad), null);
});

test("a goal is certain only if the whole interval reaches it", () => {
  const of = { value: 0.85, low: 0.75, high: 0.92, of: 30 };
  assert.equal(goalState(of, 0.7), "certain");
  assert.equal(goalState(of, 0.8), "reached");
  assert.equal(goalState(of, 0.9), "open");
  assert.equal(goalState(null, 0.9), "unmeasured");
});

test("the record counts samples per class and operator", () => {
  const classes: Class[] = [{ slot: 3, name: "a", samples: 3 }, { slot: 1, name: "b", samples: 0 }];
  const sample = (operator: number, time_s: number): Sample => ({ source: "", class: 3, operator, time_s, image: false });
  assert.deepEqual(summarise(classes, [sample(9, 50), sample(2, 0), sample(2, 30), sample(2, 20)]), [
    { slot: 3, operator: 2, samples: 3, from: 20, to: 30 },
    { slot: 3, operator: 9, samples: 1, from: 50, to: 50 },
    { slot: 1, operator: null, samples: 0, from: 0, to: 0 },
  ]);
});

test("a device that is a file is named by the last part of its path", () => {
  assert.deepEqual(["clinic/ward.store", "./a.store", "ward-3", "tcp:host:7000", "serial:/dev/ttyACM0"].map(lastPart),
    ["ward.store", "a.store", "ward-3", "tcp:host:7000", "serial:/dev/ttyACM0"]);
});

test("an image is made smaller with its shape kept", () => {
  assert.deepEqual(fit(4000, 3000, 2000), { width: 2000, height: 1500 });
  assert.deepEqual(fit(640, 480, 2000), { width: 640, height: 480 });
  assert.deepEqual(fit(10000, 2, 2000), { width: 2000, height: 1 });
});

test("a folder's other files are passed over", () => {
  const file = (name: string, type = "") => ({ name, type });
  assert.ok(looksLikeImage(file("a.TIFF")) && looksLikeImage(file("a", "image/png")) && looksLikeImage(file("b.dcm")));
  assert.ok(!looksLikeImage(file(".hidden.png")) && !looksLikeImage(file("notes.txt", "text/plain")));
});

test("the URL fragment is a view or a pairing", () => {
  assert.deepEqual(readFragment("#queue"), { view: "queue", token: null, code: null });
  assert.deepEqual(readFragment("#token=a%2Bb"), { view: "predict", token: "a+b", code: null });
  assert.deepEqual(readFragment("#code=123456"), { view: "predict", token: null, code: "123456" });
  assert.deepEqual(readFragment("#nonsense").view, "predict");
});
