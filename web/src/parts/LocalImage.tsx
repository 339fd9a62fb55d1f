import { useEffect, useState } from "preact/hooks";
import { Missing } from "./Picture.tsx";

/** An image of this browser (a chosen file, an answer of the server); a placeholder if the browser cannot show its format. */
export function LocalImage({ image, alt, missing }: { image: Blob | null; alt: string; missing: string }) {
  const [url, setUrl] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    setFailed(false);
    if (!image) return setUrl(null);
    const made = URL.createObjectURL(image);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [image]);
  if (failed) return <Missing text={missing} alt={alt} />;
  return <span class="picture">{url ? <img src={url} alt={alt} onError={() => setFailed(true)} /> : null}</span>;
}
