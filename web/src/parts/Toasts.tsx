import { t } from "../messages/index.ts";
import { useStore } from "../state/store.ts";
import { current, dismiss } from "../state/toasts.ts";
import { Icon } from "./Icon.tsx";

/** The newest message, at the edge of the page. The region is always there, so that screen readers speak what appears in it. */
export function Toasts() {
  const toast = useStore(current);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toast && (
        <div class={toast.wrong ? "toast wrong" : "toast"} key={toast.id}>
          <div class="toast-text">
            {toast.text}
            {toast.small && <small>{toast.small}</small>}
          </div>
          {toast.action && (
            <button
              class="toast-action"
              onClick={() => {
                dismiss(toast.id);
                toast.action?.run();
              }}
            >{toast.action.label}</button>
          )}
          <button class="toast-close" onClick={() => dismiss(toast.id)} aria-label={t("dismiss")}><Icon name="close" /></button>
        </div>
      )}
    </div>
  );
}
