import { t } from "../messages/index.ts";
import { useStore } from "../state/store.ts";
import { dismiss, toasts } from "../state/toasts.ts";
import { Icon } from "./Icon.tsx";

/** Messages at the edge of the page. The region is always there, so that screen readers speak what appears in it. */
export function Toasts() {
  const list = useStore(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {list.map(({ id, text, small, wrong, action }) => (
        <div class={wrong ? "toast wrong" : "toast"} key={id}>
          <div class="toast-text">
            {text}
            {small && <small>{small}</small>}
          </div>
          {action && (
            <button
              class="toast-action"
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >{action.label}</button>
          )}
          <button class="toast-close" onClick={() => dismiss(id)} aria-label={t("dismiss")}><Icon name="close" /></button>
        </div>
      ))}
    </div>
  );
}
