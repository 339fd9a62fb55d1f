// What a user does to the device. Each action says what happened and offers "Undo".
import * as calls from "../api/calls.ts";
import { Failure } from "../api/failure.ts";
import type { Source, UndoStep } from "../api/types.ts";
import { checkForTeaching } from "../logic/shrink.ts";
import { t } from "../messages/index.ts";
import { app, nameOf, operator, refresh } from "./app.ts";
import { attempt, complain, say } from "./toasts.ts";
import { upload } from "./uploads.ts";

const undoable = (run: () => Promise<unknown>) => ({
  label: t("undo"),
  run: () => void attempt(async () => {
    await run();
    await refresh();
    say(t("undo.done"));
  }),
});

/** Takes back the last step of the device, if it is still the one that the toast was about. */
async function undoStep(action: UndoStep["action"]): Promise<void> {
  const { undo, revision } = await calls.device();
  if (undo?.action !== action) throw new Failure("refused", t("undo.other"));
  await calls.undo(revision);
}

async function forgetAll(sources: Source[]): Promise<void> {
  for (const source of sources) await calls.forgetSample(source);
}

/** Teaches files as a class. "Undo" forgets exactly the samples that were new, whatever happened since. */
export async function teach(files: readonly Blob[], slot: number): Promise<void> {
  const learned: Source[] = [];
  const limit = app.value.device?.limits.upload_bytes ?? Infinity;
  await upload(`class ${slot}`, files, async (file, _name, onRetry) => {
    checkForTeaching(file, limit);
    const sample = await calls.teach(file, slot, operator(), { onRetry });
    if (sample.new) learned.push(sample.source);
    return sample;
  });
  await refresh();
  if (learned.length > 0) say(t("teach.done", { n: learned.length, class: nameOf(slot) }), undoable(() => forgetAll(learned)));
}

/** Teaches one image that is already on the page. Returns whether it is a sample now. */
export function teachOne(image: Blob, slot: number): Promise<boolean> {
  return attempt(async () => {
    checkForTeaching(image, app.value.device?.limits.upload_bytes ?? Infinity);
    const sample = await calls.teach(image, slot, operator());
    await refresh();
    if (sample.new) say(t("teach.done", { n: 1, class: nameOf(slot) }), undoable(() => forgetAll([sample.source])));
    else say(t("teach.known", { class: nameOf(slot) }));
  });
}

export function move(source: Source, from: number, to: number): Promise<boolean> {
  return attempt(async () => {
    await calls.moveSample(source, to);
    await refresh();
    say(t("sample.moved", { class: nameOf(to) }), undoable(() => calls.moveSample(source, from)));
  });
}

export function forget(source: Source): Promise<boolean> {
  return attempt(async () => {
    await calls.forgetSample(source);
    await refresh();
    say(t("sample.forgotten"), undoable(() => undoStep("forget")));
  });
}

export function addClass(name: string): Promise<boolean> {
  return attempt(async () => {
    const { new: isNew } = await calls.addClass(name);
    await refresh();
    if (isNew) say(t("class.added", { class: name }), undoable(() => undoStep("add-class")));
    else say(t("class.known", { class: name }));
  });
}

export function renameClass(slot: number, name: string): Promise<boolean> {
  const before = nameOf(slot);
  return attempt(async () => {
    await calls.renameClass(slot, name);
    await refresh();
    say(t("class.renamed", { from: before, class: name }), undoable(() => calls.renameClass(slot, before)));
  });
}

export function removeClass(slot: number): Promise<boolean> {
  const name = nameOf(slot);
  return attempt(async () => {
    await calls.removeClass(slot);
    await refresh();
    say(t("class.removed", { class: name }), undoable(() => undoStep("remove-class")));
  });
}

export async function enqueue(files: readonly Blob[]): Promise<void> {
  const limit = app.value.device?.limits.upload_bytes ?? Infinity;
  let added = 0;
  await upload("queue", files, async (file, name, onRetry) => {
    checkForTeaching(file, limit);
    const item = await calls.enqueue(file, name || "camera.jpg", { onRetry });
    if (item.new) added++;
    return item;
  });
  await refresh();
  if (added > 0) say(t("queue.added", { n: added }));
}

/** Labels an image of the queue. Resolves to whether it worked. */
export function label(id: Source, slot: number): Promise<boolean> {
  return attempt(async () => {
    await calls.labelQueued(id, slot, operator());
    void refresh();
    say(t("teach.done", { n: 1, class: nameOf(slot) }), undoable(() => undoStep("learn")));
  });
}

export function dropQueued(id: Source): Promise<boolean> {
  return attempt(async () => {
    await calls.dropQueued(id);
    void refresh();
    say(t("queue.removed"));
  });
}

/** The device's own undo, whatever the last step was. With a revision: the last step that the user sees. */
export async function undoLast(revision?: number): Promise<void> {
  try {
    const { undone } = await calls.undo(revision);
    await refresh();
    say(t("undo.did", { step: stepText(undone) }));
  } catch (thrown) {
    complain(thrown);
  }
}

export const stepText = (step: UndoStep): string => t(`step.${step.action}`, { class: step.class, n: step.samples });
