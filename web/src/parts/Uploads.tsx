import { textOf } from "../messages/failures.ts";
import { t } from "../messages/index.ts";
import { nameOf } from "../state/app.ts";
import { useStore } from "../state/store.ts";
import { batches, dismissBatch } from "../state/uploads.ts";

/** Progress and failures of the batches that go to `target`. */
export function Uploads({ target }: { target: string }) {
  const list = useStore(batches).filter((batch) => batch.target === target);
  if (list.length === 0) return null;
  return (
    <div class="uploads" role="status">
      {list.map((batch) => (
        <div class="upload" key={batch.id}>
          {batch.running && (
            <>
              <progress max={batch.total} value={batch.done} aria-label={t("upload.of")} />
              <p class="small">{t("upload.progress", { done: batch.done, total: batch.total })}</p>
            </>
          )}
          {batch.retry > 0 && <p class="small">{t("upload.retry", { attempt: batch.retry })}</p>}
          {batch.known.length > 0 && <p class="small muted">{t("upload.known", { n: batch.known.length })}</p>}
          {batch.failed.length > 0 && (
            <>
              <p class="small"><strong>{t("upload.failed", { n: batch.failed.length })}</strong></p>
              <ul class="failures">
                {batch.failed.map(({ name, failure }) => (
                  <li>
                    <strong>{name || t("upload.camera")}</strong> {textOf(failure, nameOf)}
                    {failure.message && <small> {failure.message}</small>}
                  </li>
                ))}
              </ul>
            </>
          )}
          {!batch.running && <button class="small-button" onClick={() => dismissBatch(batch.id)}>{t("dismiss")}</button>}
        </div>
      ))}
    </div>
  );
}
