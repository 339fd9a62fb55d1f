import { useEffect } from "preact/hooks";
import { DropZone } from "../parts/DropZone.tsx";
import { Icon } from "../parts/Icon.tsx";
import { LocalImage } from "../parts/LocalImage.tsx";
import { filesOf } from "../logic/files.ts";
import { headline } from "../logic/decision.ts";
import { probability } from "../logic/format.ts";
import { t } from "../messages/index.ts";
import { app, nameOf } from "../state/app.ts";
import { ask, clearPredictions, predictions, select, type Asked } from "../state/predictions.ts";
import { forCamera } from "../logic/shrink.ts";
import { useStore } from "../state/store.ts";
import { attempt } from "../state/toasts.ts";
import { Answer } from "./predict/Answer.tsx";
import { Card } from "../parts/Card.tsx";

/** Pictures of the camera are made smaller; files are asked about as they are. */
export function askPicture(picture: Blob): void {
  void attempt(async () => ask([await forCamera(picture, app.value.device?.limits.upload_bytes ?? Infinity)]));
}

export function Predict() {
  const { items, selected } = useStore(predictions);
  const chosen = items.find((one) => one.id === selected);
  useEffect(() => {
    // The whole view takes files: a zone is easily missed.
    const paste = (event: ClipboardEvent) => void filesOf(event.clipboardData).then(ask);
    const drop = (event: DragEvent) => void filesOf(event.dataTransfer).then(ask);
    addEventListener("paste", paste);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("paste", paste);
      removeEventListener("drop", drop);
    };
  }, []);
  return (
    <>
      <header class={chosen ? "view-head asking" : "view-head"}>
        <h1>{t("predict.title")}</h1>
        <p class="lead">{t("predict.lead")}</p>
      </header>
      {chosen && <Answer key={chosen.id} asked={chosen} />}
      <Card id="ask" title={t(chosen ? "predict.next" : "predict.empty")}>
        <DropZone onFiles={ask} onPicture={askPicture} text={t("drop.files")} />
        <p class="muted small">{t("drop.paste")}</p>
      </Card>
      {items.length > 1 && <List items={items} selected={selected} />}
    </>
  );
}

function List({ items, selected }: { items: Asked[]; selected: number }) {
  return (
    <Card id="asked" title={t("predict.list")} action={<button class="small-button" onClick={clearPredictions}>{t("predict.clear")}</button>}>
      <ul class="asked">
        {items.map((item) => (
          <li key={item.id}>
            <button
              class="asked-item" aria-current={item.id === selected ? "true" : undefined}
              onClick={() => {
                select(item.id);
                document.querySelector("main")?.scrollTo?.(0, 0);
                scrollTo({ top: 0 });
              }}
            >
              <LocalImage image={item.image} alt="" missing={t("predict.noimage")} />
              <span class="asked-text">
                <strong>{item.answer ? headline(item.answer, nameOf) : item.failure ? "–" : "…"}</strong>
                <span class="muted small">{item.name || t("predict.camera")}</span>
              </span>
              <span class="asked-figure">
                {item.answer?.decision === "class" && item.answer.probability !== null ? probability(item.answer.probability) : ""}
                {item.answer?.learned !== null && item.answer?.learned !== undefined && <Icon name="check" />}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}
