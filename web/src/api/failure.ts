import type { ApiError, ErrorKind } from "./types.ts";

/** What can go wrong: the kinds of the server, and two that the page finds itself. */
export type FailureKind = ErrorKind | "network" | "image";

/** A request that failed. `kind` selects the text, `message` is the server's own. */
export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
    readonly details: { status?: number; reason?: number; found?: number; limit?: number } = {},
  ) {
    super(message);
  }
}

const BY_STATUS: Record<number, ErrorKind> = {
  401: "unauthorised", 403: "forbidden", 404: "not-found", 409: "exists", 413: "too-large", 415: "unsupported-type", 422: "refused",
  429: "rate-limited", 503: "busy", 504: "unreachable", 507: "refused",
};

/** The failure that an answer with an error status describes, even if its body is not of the contract (a proxy's page). */
export function failureOf(status: number, body: string): Failure {
  try {
    const { error } = JSON.parse(body) as ApiError;
    if (typeof error.kind === "string") return new Failure(error.kind, error.message, { ...error, status });
  } catch {
    // Not JSON: the status says enough.
  }
  return new Failure(BY_STATUS[status] ?? (status < 500 ? "input" : "device-fault"), `HTTP ${status}`, { status });
}

export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure("network", thrown instanceof Error ? thrown.message : String(thrown));
}
