import { t } from "../messages/index.ts";
import { Dialog } from "./Dialog.tsx";

interface Props { title: string; text: string; yes: string; onYes: () => void; onClose: () => void }

/** Asks once before something that removes data. */
export function Confirm({ title, text, yes, onYes, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <div class="row end">
        <button onClick={onClose}>{t("cancel")}</button>
        <button
          class="danger"
          onClick={() => {
            onClose();
            onYes();
          }}
        >{yes}</button>
      </div>
    </Dialog>
  );
}
