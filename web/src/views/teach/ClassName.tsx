import { useEffect, useRef, useState } from "preact/hooks";
import type { Class } from "../../api/types.ts";
import { nameBytes } from "../../logic/names.ts";
import { t } from "../../messages/index.ts";
import { Icon } from "../../parts/Icon.tsx";
import * as actions from "../../state/actions.ts";
import { app } from "../../state/app.ts";
import { say } from "../../state/toasts.ts";

/** The name of a class; a press on it makes it a field. Enter keeps the new name, Escape the old one. */
export function ClassName({ of, id }: { of: Class; id: string }) {
  const [editing, setEditing] = useState(false);
  const [name, setName] = useState(of.name);
  const field = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const edited = useRef(false);
  useEffect(() => {
    if (editing) field.current?.select();
    else if (edited.current) button.current?.focus();
    edited.current = editing;
  }, [editing]);

  const keep = () => {
    const next = name.trim();
    const limit = app.value.device?.limits.name_bytes ?? Infinity;
    if (!next || next === of.name) return setEditing(false);
    if (nameBytes(next) > limit) return say(t("teach.long", { n: limit }));
    void actions.renameClass(of.slot, next).then((done) => done && setEditing(false));
  };

  if (!editing) {
    return (
      <h2 id={id} class="class-name">
        <span>{of.name}</span>
        <button
          ref={button} type="button" class="quiet square" aria-label={t("teach.rename", { class: of.name })}
          onClick={() => {
            setName(of.name);
            setEditing(true);
          }}
        ><Icon name="edit" /></button>
      </h2>
    );
  }
  return (
    <form
      class="row rename" onSubmit={(event) => {
        event.preventDefault();
        keep();
      }}
    >
      <h2 id={id} class="hidden">{of.name}</h2>
      <input
        ref={field} value={name} autocomplete="off" aria-label={t("teach.rename", { class: of.name })}
        onInput={(event) => setName(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && setEditing(false)}
      />
      <button type="submit">{t("save")}</button>
    </form>
  );
}
