import { useEffect, useState } from "preact/hooks";
import { t } from "../messages/index.ts";
import { DropZone } from "../parts/DropZone.tsx";
import { Uploads } from "../parts/Uploads.tsx";
import * as actions from "../state/actions.ts";
import { useQueue } from "../state/data.ts";
import { createStore, useStore } from "../state/store.ts";
import { GoalProgress } from "./quality/GoalProgress.tsx";
import { Question } from "./queue/Question.tsx";
import { Card } from "../parts/Card.tsx";

/** Images that were skipped or have just been answered; kept while the page is open. */
const skipped = createStore<ReadonlySet<string>>(new Set());
const answered = createStore<ReadonlySet<string>>(new Set());

export function Queue() {
  const queue = useQueue();
  const passed = useStore(skipped);
  const gone = useStore(answered);
  const [current, setCurrent] = useState<string | null>(null);

  const open = queue?.items.filter((item) => !gone.has(item.id)) ?? [];
  const askable = open.filter((item) => !passed.has(item.id));
  // The image in front of the user stays, even if a new order puts another one first.
  const item = askable.find((one) => one.id === current) ?? askable[0];
  useEffect(() => setCurrent(item?.id ?? null), [item?.id]);

  const answer = (id: string, action: () => Promise<boolean>) => {
    // The next image is shown at once; if the device refuses, this one comes back.
    answered.set(new Set([...answered.value, id]));
    void action().then((done) => {
      if (!done) answered.set(new Set([...answered.value].filter((one) => one !== id)));
    });
  };
  // An image that was labelled, undone and queued again must show up again.
  useEffect(() => {
    if (!queue) return;
    const here = new Set(queue.items.map((one) => one.id));
    const still = [...answered.value].filter((id) => here.has(id));
    if (still.length < answered.value.size) answered.set(new Set(still));
  }, [queue]);

  const left = queue ? queue.images - (queue.items.length - open.length) : 0;
  return (
    <>
      <header class={item ? "view-head asking" : "view-head"}>
        <h1>{t("queue.title")}</h1>
        <p class="lead">{t("queue.lead")}</p>
      </header>
      {item && (
        <Question
          key={item.id} item={item} left={left} focus={gone.size + passed.size > 0}
          onLabel={(slot) => answer(item.id, () => actions.label(item.id, slot))}
          onSkip={() => skipped.set(new Set([...passed, item.id]))}
          onRemove={() => answer(item.id, () => actions.dropQueued(item.id))}
        />
      )}
      {!item && open.length > 0 && (
        <section class="card empty">
          <p>{t("queue.skipped")}</p>
          <button class="primary" onClick={() => skipped.set(new Set())}>{t("queue.skipped.again")}</button>
        </section>
      )}
      <GoalProgress />
      <Card id="queue-add" title={t(queue && open.length === 0 ? "queue.empty" : "queue.more")}>
        {queue && open.length === 0 && <p class="muted">{t("queue.empty.text")}</p>}
        <Uploads target="queue" />
        <DropZone folder text={t("drop.queue")} onFiles={(files) => void actions.enqueue(files)} />
      </Card>
    </>
  );
}
