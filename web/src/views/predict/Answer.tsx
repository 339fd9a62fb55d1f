import type { Prediction } from "../../api/types.ts";
import { headline, promise, reason } from "../../logic/decision.ts";
import { decisionAt } from "../../logic/point.ts";
import { textOf } from "../../messages/failures.ts";
import { t } from "../../messages/index.ts";
import { Bar } from "../../parts/Bar.tsx";
import { Uploads } from "../../parts/Uploads.tsx";
import { LocalImage } from "../../parts/LocalImage.tsx";
import * as actions from "../../state/actions.ts";
import { app, nameOf } from "../../state/app.ts";
import { again, type Asked } from "../../state/predictions.ts";
import { useStore } from "../../state/store.ts";
import { Heat } from "./Heat.tsx";
import { Seen } from "./Seen.tsx";
import { Why } from "./Why.tsx";

/** An image, what the device says about it, why, and what can be done with it. */
export function Answer({ asked }: { asked: Asked }) {
  const { answer, failure } = asked;
  return (
    <section class="card answer" aria-label={asked.name || t("predict.camera")}>
      <div class="answer-pictures">
        <figure>
          <LocalImage image={asked.image} alt={t("predict.image")} missing={t("predict.noimage")} />
          <figcaption>{asked.name || t("predict.image")}</figcaption>
        </figure>
        <Seen image={asked.image} />
        {answer && !failure && answer.decision !== "untaught" && <Heat image={asked.image} stamp={asked.stamp} />}
      </div>
      <div class="answer-body">
        <div role="status" aria-live="polite">
          {answer && !failure && <Words answer={answer} />}
          {!answer && !failure && <p class="muted waiting">{t("predict.waiting")}</p>}
          {failure && (
            <div class="notice">
              <p><strong>{textOf(failure, nameOf)}</strong></p>
              {failure.message && <p class="small muted">{failure.message}</p>}
              <button onClick={() => again(asked.id)}>{t("predict.again")}</button>
            </div>
          )}
        </div>
        {answer && !failure && <Figures answer={answer} />}
        <Actions asked={asked} />
      </div>
      {answer && !failure && <Why image={asked.image} neighbours={answer.nearest} />}
    </section>
  );
}

/** The decision in large words; a mark before it is full, half or open, so that it does not depend on colour. */
function Words({ answer }: { answer: Prediction }) {
  const at = answer.decision === "untaught" ? null : decisionAt(answer, nameOf);
  return (
    <div class={`words ${answer.decision}`}>
      <h2 class="headline"><span class="mark" aria-hidden="true" />{headline(answer, nameOf)}</h2>
      <p class="reason">{reason(answer)}</p>
      {at && <p class="at-point"><strong>{at.text}</strong> <span class="small muted">{at.detail}</span></p>}
      {answer.learned !== null && <p class="tag">{t("predict.learned", { class: nameOf(answer.learned) })}</p>}
    </div>
  );
}

function Figures({ answer }: { answer: Prediction }) {
  const { settings } = useStore(app);
  const set = promise(answer, settings.error_rate);
  return (
    <div class="figures">
      {answer.class !== null && answer.probability !== null && answer.decision !== "unknown" && (
        <Bar value={answer.probability} label={t("predict.probability", { class: nameOf(answer.class) })} />
      )}
      {set && (
        <div>
          <h3>{t("predict.set.title")}</h3>
          {/* A list that guarantees nothing would only contradict the answer. */}
          {set.holds && (
            <p class="chips">
              {answer.set.map((slot) => <span class="chip" key={slot}>{nameOf(slot)}</span>)}
            </p>
          )}
          <p class="small muted">{set.text}</p>
        </div>
      )}
    </div>
  );
}

function Actions({ asked }: { asked: Asked }) {
  const { classes } = useStore(app);
  const learned = asked.answer?.learned ?? null;
  return (
    <div class="actions">
      {classes && classes.length > 0 && learned === null && (
        <fieldset class="plain">
          <legend>{t("predict.teach")}</legend>
          <div class="row">
            {classes.map((one) => <button key={one.slot} onClick={() => void actions.teachOne(asked.image, one.slot)}>{one.name}</button>)}
          </div>
        </fieldset>
      )}
      {learned === null && <button class="quiet" onClick={() => void actions.enqueue([asked.image])}>{t("predict.queue")}</button>}
      <Uploads target="queue" />
    </div>
  );
}
