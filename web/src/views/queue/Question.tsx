import { useEffect, useRef } from "preact/hooks";
import type { QueueItem } from "../../api/types.ts";
import { headline } from "../../logic/decision.ts";
import { probability } from "../../logic/format.ts";
import { t } from "../../messages/index.ts";
import { Picture } from "../../parts/Picture.tsx";
import { undoLast } from "../../state/actions.ts";
import { app, nameOf } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";

interface Props { item: QueueItem; left: number; focus: boolean; onLabel: (slot: number) => void; onSkip: () => void; onRemove: () => void }

/** Whether a key press is meant for the page and not for a field, a dialog or a shortcut of the browser. */
export function isShortcut(event: KeyboardEvent): boolean {
  const at = event.target as HTMLElement | null;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return false;
  return !at?.closest?.("input, select, textarea, dialog, [contenteditable]") && !document.querySelector("dialog[open]");
}

/** One image of the queue: large, what the device would say, and a button for each class. */
export function Question({ item, left, focus, onLabel, onSkip, onRemove }: Props) {
  const { classes } = useStore(app);
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that answered the image before is gone; a keyboard goes on from here.
  useEffect(() => {
    if (focus && document.activeElement === document.body) heading.current?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!isShortcut(event)) return;
      const chosen = /^[1-9]$/.test(event.key) ? classes?.[Number(event.key) - 1] : undefined;
      if (chosen) onLabel(chosen.slot);
      else if (event.key === "s" || event.key === "S") onSkip();
      else if (event.key === "u" || event.key === "U") void undoLast();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  const now = item.prediction;
  return (
    <section class="card question" aria-labelledby="question">
      <Picture path={`/queue/${item.id}/image`} size={1024} alt={t("queue.image", { name: item.name })} missing={t("predict.noimage")} />
      <div class="stack">
        <div class="about small">
          <p class="muted nowrap" role="status">{t("queue.left", { n: left })}</p>
          <p class="name" title={item.name}>{item.name}</p>
        </div>
        <h2 id="question" ref={heading} tabIndex={-1}>{t("queue.question")}</h2>
        <p>
          <span class="muted">{now ? `${t("queue.now")}: ` : t("queue.now.none")}</span>
          {now && <strong>{headline(now, nameOf)}</strong>}
          {now?.decision === "class" && now.probability !== null && <span class="muted"> {probability(now.probability)}</span>}
        </p>
        <div class="labels">
          {classes?.map((one, index) => (
            <button key={one.slot} class="label-button" onClick={() => onLabel(one.slot)}>
              {index < 9 && <kbd aria-hidden="true">{index + 1}</kbd>}
              {one.name}
            </button>
          ))}
          {classes?.length === 0 && <p>{t("queue.noclasses")}</p>}
        </div>
        <div class="row">
          <button class="quiet" onClick={onSkip}>{t("queue.skip")}</button>
          <button class="quiet" onClick={onRemove}>{t("queue.remove")}</button>
        </div>
        <p class="muted small keys">{t("queue.keys")}</p>
      </div>
    </section>
  );
}
