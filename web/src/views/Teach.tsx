import { useState } from "preact/hooks";
import { nameBytes } from "../logic/names.ts";
import { t } from "../messages/index.ts";
import * as actions from "../state/actions.ts";
import { app } from "../state/app.ts";
import { useQuality, useSamples } from "../state/data.ts";
import { useStore } from "../state/store.ts";
import { ClassCard } from "./teach/ClassCard.tsx";

export function Teach() {
  const { classes, device } = useStore(app);
  const samples = useSamples();
  const quality = useQuality();
  return (
    <>
      <header class="view-head">
        <h1>{t("teach.title")}</h1>
        <p class="lead">{t(classes && classes.length < 2 ? "teach.first" : "teach.lead")}</p>
      </header>
      <div class="cards">
        {classes?.map((one) => (
          <ClassCard
            key={one.slot} of={one} samples={samples?.filter((sample) => sample.class === one.slot) ?? null}
            recall={quality?.classes.find((figures) => figures.slot === one.slot)?.sensitivity ?? null}
          />
        ))}
        <NewClass limit={device?.limits.name_bytes ?? Infinity} />
      </div>
    </>
  );
}

function NewClass({ limit }: { limit: number }) {
  const [name, setName] = useState("");
  const trimmed = name.trim();
  const long = nameBytes(trimmed) > limit;
  return (
    <form
      class="card new-class" aria-labelledby="new-class"
      onSubmit={(event) => {
        event.preventDefault();
        if (trimmed && !long) void actions.addClass(trimmed).then((added) => added && setName(""));
      }}
    >
      <h2 id="new-class">{t("teach.new")}</h2>
      <label class="field">
        <span>{t("teach.new.name")}</span>
        <input value={name} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" aria-invalid={long} aria-describedby={long ? "name-long" : undefined} />
      </label>
      {long && <p id="name-long" class="small wrong-text">{t("teach.long", { n: limit })}</p>}
      <button type="submit" class="primary" disabled={!trimmed || long}>{t("teach.new.add")}</button>
    </form>
  );
}
