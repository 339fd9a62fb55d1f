import { useEffect, useRef, useState } from "preact/hooks";
import { CAMERA_PIXELS, fit, toBlob } from "../logic/shrink.ts";
import { t } from "../messages/index.ts";
import { complain } from "../state/toasts.ts";
import { Dialog } from "./Dialog.tsx";
import { Icon } from "./Icon.tsx";

/** Browsers give the camera to secure pages only; elsewhere a file field with `capture` opens the camera's own program. */
export const cameraWorks = (): boolean => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

interface Props { onPicture: (picture: Blob) => void; onClose: () => void; burst?: string | undefined }

/** The live picture with the centre square that the encoder sees. */
export function Camera({ onPicture, onClose, burst }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [facing, setFacing] = useState<"environment" | "user">("environment");
  const [denied, setDenied] = useState(false);
  /** The shape of the live picture, once there is one. */
  const [shape, setShape] = useState<"broad" | "tall" | null>(null);
  const [taken, setTaken] = useState(0);

  useEffect(() => {
    let stream: MediaStream | null = null;
    let open = true;
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    setShape(null);
    navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1920 }, height: { ideal: 1080 } } }).then(
      (got) => {
        stream = got;
        if (!open) return stop();
        video.current!.srcObject = got;
        void video.current!.play().catch(() => {});
      },
      () => open && setDenied(true),
    );
    return () => {
      open = false;
      stop();
    };
  }, [facing]);

  const shoot = async () => {
    const source = video.current!;
    const { width, height } = fit(source.videoWidth, source.videoHeight, CAMERA_PIXELS);
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d")!.drawImage(source, 0, 0, width, height);
    try {
      const picture = await toBlob(canvas);
      setTaken((count) => count + 1);
      onPicture(picture);
    } catch (thrown) {
      complain(thrown);
    }
  };

  return (
    <Dialog title={t("camera.title")} onClose={onClose} wide>
      {denied ? <p>{t("camera.denied")}</p> : (
        <>
          <div class="camera">
            <div class="camera-frame">
              <video
                ref={video} muted playsInline
                onLoadedData={({ currentTarget: { videoWidth, videoHeight } }) => setShape(videoWidth > videoHeight ? "broad" : "tall")}
              />
              {shape && <div class={`camera-square ${shape}`} aria-hidden="true" />}
            </div>
          </div>
          <p class="muted small">{t("camera.square")} {burst && t("camera.burst", { class: burst })}</p>
          <div class="row">
            <button class="primary" disabled={!shape} onClick={() => void shoot()}><Icon name="camera" />{t("camera.shoot")}</button>
            <button onClick={() => setFacing(facing === "user" ? "environment" : "user")}><Icon name="swap" />{t("camera.switch")}</button>
            <span class="muted" role="status">{burst && taken > 0 ? t("camera.count", { n: taken }) : ""}</span>
          </div>
        </>
      )}
    </Dialog>
  );
}
