import { chooseLanguage, LANGUAGES, speak, t } from "../../messages/index.ts";
import { app } from "../../state/app.ts";
import { preferences, type Theme } from "../../state/preferences.ts";
import { useStore } from "../../state/store.ts";
import { Card } from "../../parts/Card.tsx";

/** What this browser remembers: appearance, language, pairing. */
export function PageSettings() {
  const { theme, language, token } = useStore(preferences);
  return (
    <Card id="page" title={t("device.page")}>
      <label class="field">
        <span>{t("device.theme")}</span>
        <select value={theme} onChange={(event) => preferences.change({ theme: event.currentTarget.value as Theme })}>
          {(["system", "light", "dark"] as const).map((one) => <option value={one} key={one}>{t(`device.theme.${one}`)}</option>)}
        </select>
      </label>
      <label class="field">
        <span>{t("device.language")}</span>
        <select
          value={language ?? ""}
          onChange={(event) => {
            const chosen = event.currentTarget.value || null;
            preferences.change({ language: chosen });
            void speak(chooseLanguage(chosen ? [chosen] : navigator.languages));
          }}
        >
          <option value="">{t("device.language.browser")}</option>
          {Object.entries(LANGUAGES).map(([short, own]) => <option value={short} key={short} lang={short}>{own}</option>)}
        </select>
      </label>
      {token && (
        <button
          onClick={() => {
            preferences.change({ token: null });
            const { session } = app.value;
            if (session?.token_required) app.change({ session: { ...session, authorised: false } });
          }}
        >{t("device.leave")}</button>
      )}
    </Card>
  );
}
