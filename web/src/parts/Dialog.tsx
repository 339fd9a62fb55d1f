import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../messages/index.ts";
import { Icon } from "./Icon.tsx";

interface Props { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }

/** A modal dialog. The browser keeps the focus inside, closes it with Escape and gives the focus back. */
export function Dialog({ title, onClose, children, wide }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    element.current?.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return (
    <dialog
      ref={element} class={wide ? "dialog wide" : "dialog"} aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === element.current && onClose()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button class="quiet square" onClick={onClose} aria-label={t("close")}><Icon name="close" /></button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
