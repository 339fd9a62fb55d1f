import { useRef, useState } from "preact/hooks";
import { filesOf, looksLikeImage } from "../logic/files.ts";
import { t } from "../messages/index.ts";
import { say } from "../state/toasts.ts";
import { Camera, cameraWorks } from "./Camera.tsx";
import { Icon } from "./Icon.tsx";

// Not in the types of Preact, but in all browsers.
const FOLDER = { webkitdirectory: true };

interface Props {
  onFiles: (files: File[]) => void;
  /** Says what the controls are for where several zones are on the page. */
  name?: string;
  text?: string;
  multiple?: boolean;
  folder?: boolean;
  compact?: boolean;
  /** Pictures of the camera; left out where there is no use for it. `burst`: the camera stays open. */
  onPicture?: (picture: Blob) => void;
  burst?: string;
}

/** A place for images: drop, choose, camera. Keyboards use its buttons. */
export function DropZone({ onFiles, name, text, multiple = true, folder, compact, onPicture, burst }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const folders = useRef<HTMLInputElement>(null);
  const capture = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [camera, setCamera] = useState(false);
  const label = (action: string) => (name ? `${action}: ${name}` : action);

  const take = (files: File[], filter = false) => {
    const images = filter ? files.filter(looksLikeImage) : files;
    if (images.length > 0) onFiles(images);
    else if (files.length > 0) say(t("drop.none"));
  };
  const chosen = (event: Event, filter = false) => {
    const field = event.currentTarget as HTMLInputElement;
    take([...(field.files ?? [])], filter);
    field.value = "";
  };

  return (
    <div
      class={`drop${over ? " over" : ""}${compact ? " compact" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation();
        setOver(false);
        void filesOf(event.dataTransfer).then((files) => take(files));
      }}
    >
      <p class="drop-text">{text ?? t("drop.files")}</p>
      <div class="row">
        <button class={compact ? "" : "primary"} onClick={() => input.current?.click()} aria-label={label(t("drop.choose"))}><Icon name="image" />{t("drop.choose")}</button>
        {folder && <button onClick={() => folders.current?.click()}><Icon name="folder" />{t("drop.folder")}</button>}
        {onPicture && (
          <button aria-label={label(t("drop.camera"))} onClick={() => (cameraWorks() ? setCamera(true) : capture.current?.click())}>
            <Icon name="camera" />{t("drop.camera")}
          </button>
        )}
      </div>
      <input ref={input} type="file" hidden multiple={multiple} accept="image/*,.tif,.tiff,.dcm,.pgm,.ppm" onChange={chosen} data-drop={name ?? "images"} aria-label={label(t("drop.choose"))} />
      {folder && <input ref={folders} type="file" hidden multiple {...FOLDER} onChange={(event) => chosen(event, true)} aria-label={t("drop.folder")} />}
      {onPicture && (
        <input
          ref={capture} type="file" hidden accept="image/*" capture="environment" aria-label={label(t("drop.camera"))}
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            if (file) onPicture(file);
            event.currentTarget.value = "";
          }}
        />
      )}
      {camera && onPicture && (
        <Camera
          burst={burst} onClose={() => setCamera(false)}
          onPicture={(picture) => {
            if (!burst) setCamera(false);
            onPicture(picture);
          }}
        />
      )}
    </div>
  );
}
