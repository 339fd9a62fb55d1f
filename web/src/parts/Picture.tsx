import { useEffect, useState } from "preact/hooks";
import * as calls from "../api/calls.ts";
import { Icon } from "./Icon.tsx";

/** Pictures of the device never change under their path, so they are kept; the oldest go first. */
const KEPT = 400;
const urls = new Map<string, Promise<string>>();

function load(path: string, size: number): Promise<string> {
  const key = `${path} ${size}`;
  const known = urls.get(key);
  if (known) return known;
  const url = calls.picture(path, size).then((blob) => URL.createObjectURL(blob));
  urls.set(key, url);
  url.catch(() => urls.delete(key));
  if (urls.size > KEPT) {
    const [oldest, old] = urls.entries().next().value!;
    urls.delete(oldest);
    void old.then(URL.revokeObjectURL, () => {});
  }
  return url;
}

interface Props { path: string | null; size: number; alt: string; missing: string }

/** A picture that the device keeps, or a placeholder. Loaded with fetch, because `<img src>` sends no token. */
export function Picture({ path, size, alt, missing }: Props) {
  const [url, setUrl] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let wanted = true;
    setUrl(null);
    setFailed(path === null);
    if (path !== null) load(path, size).then((value) => wanted && setUrl(value), () => wanted && setFailed(true));
    return () => {
      wanted = false;
    };
  }, [path, size]);
  if (failed) return <Missing text={missing} alt={alt} />;
  return <span class="picture">{url ? <img src={url} alt={alt} onError={() => setFailed(true)} /> : null}</span>;
}

export function Missing({ text, alt }: { text: string; alt?: string }) {
  return (
    <span class="picture missing" role={alt ? "img" : undefined} aria-label={alt ? `${alt}. ${text}` : undefined} title={text}>
      <Icon name="image" />
    </span>
  );
}

export const samplePath = (sample: { source: string; image: boolean }): string | null =>
  sample.image ? `/samples/${sample.source}/image` : null;
