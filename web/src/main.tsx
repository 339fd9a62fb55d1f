import { render } from "preact";
import { useEffect } from "preact/hooks";
import { catalogue, chooseLanguage, speak, t } from "./messages/index.ts";
import { SampleDialog } from "./parts/SampleDialog.tsx";
import { Shell } from "./parts/Shell.tsx";
import { Toasts } from "./parts/Toasts.tsx";
import { app, askSession, stayConnected } from "./state/app.ts";
import { preferences } from "./state/preferences.ts";
import { entrance, route, startRouting, type View } from "./state/route.ts";
import { useStore } from "./state/store.ts";
import { batches } from "./state/uploads.ts";
import { Device } from "./views/Device.tsx";
import { Pair } from "./views/Pair.tsx";
import { Predict } from "./views/Predict.tsx";
import { Quality } from "./views/Quality.tsx";
import { Queue } from "./views/Queue.tsx";
import { Record } from "./views/Record.tsx";
import { Teach } from "./views/Teach.tsx";

const VIEW: Record<View, () => preact.VNode> = { predict: Predict, teach: Teach, queue: Queue, quality: Quality, device: Device, record: Record };

function Page() {
  // A change of language draws everything again.
  const { language } = useStore(catalogue);
  const { session } = useStore(app);
  const view = useStore(route);
  const { code } = useStore(entrance);
  const title = view === "record" ? t("record.title") : t(`nav.${view}`);
  useEffect(() => {
    document.title = `${title} – ${t("app.title")}`;
    scrollTo(0, 0);
  }, [title]);
  if (session?.token_required && !session.authorised) return <Pair key={code} offered={code} />;
  const Chosen = VIEW[view];
  return (
    <div key={language}>
      <Shell><Chosen /></Shell>
      <SampleDialog />
      <Toasts />
    </div>
  );
}

async function start(): Promise<void> {
  startRouting();
  const take = () => {
    const { token } = entrance.value;
    if (token) preferences.change({ token });
    return token;
  };
  take();
  entrance.subscribe(() => take() && void askSession());
  await speak(chooseLanguage(preferences.value.language ? [preferences.value.language] : navigator.languages));
  render(<Page />, document.getElementById("app")!);
  void stayConnected();
  // Files that miss a drop zone must not replace the page.
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  addEventListener("beforeunload", (event) => batches.value.some((batch) => batch.running) && event.preventDefault());
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => {});
}

void start();
