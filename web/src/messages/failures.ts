import type { Failure } from "../api/failure.ts";
import { bytes } from "../logic/format.ts";
import { t } from "./index.ts";

/** The catalogue's text of a failure. `nameOf` gives the class names of the device, where a failure names a class. */
export function textOf(failure: Failure, nameOf?: (slot: number) => string): string {
  const { limit, found } = failure.details;
  if (failure.kind === "too-large" && limit) return t("error.too-large.limit", { limit: bytes(limit) });
  if (failure.kind === "exists" && found !== undefined && nameOf) return t("error.exists.class", { class: nameOf(found) });
  return t(`error.${failure.kind}`);
}
