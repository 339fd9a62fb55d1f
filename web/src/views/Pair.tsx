import { useEffect, useRef, useState } from "preact/hooks";
import * as calls from "../api/calls.ts";
import { asFailure } from "../api/failure.ts";
import { textOf } from "../messages/failures.ts";
import { t } from "../messages/index.ts";
import { askSession } from "../state/app.ts";
import { preferences } from "../state/preferences.ts";

/** The screen of a browser that is not paired. `offered`: the code of a pairing link, which is tried at once. */
export function Pair({ offered }: { offered: string | null }) {
  const [code, setCode] = useState(offered ?? "");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const tried = useRef(false);
  const field = useRef<HTMLInputElement>(null);

  const pair = async () => {
    setBusy(true);
    setWrong(null);
    try {
      const { token } = await calls.pair(code.replace(/\D/g, ""));
      preferences.change({ token });
      await askSession();
    } catch (thrown) {
      const failure = asFailure(thrown);
      const refused = ["unauthorised", "forbidden", "input", "not-found", "refused"].includes(failure.kind);
      setWrong(refused ? t("pair.wrong") : textOf(failure));
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    field.current?.focus();
    if (offered && !tried.current) void pair();
    tried.current = true;
  }, []);

  return (
    <main class="pair" id="content">
      <form
        class="card" onSubmit={(event) => {
          event.preventDefault();
          void pair();
        }}
      >
        <img src="icon.svg" alt="" width="48" height="48" />
        <h1>{t("pair.title")}</h1>
        <p class="muted">{t("pair.lead")}</p>
        <label class="field">
          <span>{t("pair.code")}</span>
          <input
            ref={field} class="code-field" inputMode="numeric" autocomplete="one-time-code" maxLength={7} value={code} aria-invalid={wrong !== null}
            onInput={(event) => setCode(event.currentTarget.value)}
          />
        </label>
        <p class="wrong-text" role="alert">{wrong}</p>
        <button type="submit" class="primary" disabled={busy || code.replace(/\D/g, "").length !== 6}>{t("pair.submit")}</button>
      </form>
    </main>
  );
}
