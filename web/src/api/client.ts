import { Failure, failureOf } from "./failure.ts";

export interface Options {
  method?: string;
  query?: Record<string, string | number | undefined>;
  json?: unknown;
  body?: Blob;
  signal?: AbortSignal;
  /**
   * The request is sent again if the network fails: the server recognises it by its content. Views load their data again by
   * themselves when the server is back, so that reading needs no repetition here.
   */
  repeatable?: boolean;
  /** Is told of each repetition, from 1. */
  onRetry?: (attempt: number) => void;
}

let token: string | null = null;
let onAnswer: (reachable: boolean) => void = () => {};
let onUnauthorised: () => void = () => {};

export function setToken(value: string | null): void {
  token = value;
}

export function listen(answer: (reachable: boolean) => void, unauthorised: () => void): void {
  onAnswer = answer;
  onUnauthorised = unauthorised;
}

export function urlOf(path: string, query: Options["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return `api/v1${path}${text && "?" + text}`;
}

/** Sends one request and returns the answer if its status is a success. Reports to `listen` whether the server was reachable. */
export async function send(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  let body: BodyInit | undefined = options.body;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.json);
  } else if (options.body) {
    headers["Content-Type"] = options.body.type.startsWith("image/") ? options.body.type : "application/octet-stream";
  }
  let answer: Response;
  try {
    answer = await fetch(urlOf(path, options.query), {
      method: options.method ?? "GET", headers, cache: "no-store", ...(body === undefined ? {} : { body }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (thrown) {
    if (options.signal?.aborted) throw thrown;
    onAnswer(false);
    throw new Failure("network", thrown instanceof Error ? thrown.message : String(thrown));
  }
  onAnswer(true);
  if (answer.ok) return answer;
  const failure = failureOf(answer.status, await answer.text().catch(() => ""));
  if (failure.kind === "unauthorised" && path !== "/pair") onUnauthorised();
  throw failure;
}

const PAUSES_MS = [1000, 2000, 4000, 8000, 8000, 8000];
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** `send`, repeated with growing pauses if that is safe and the network or a busy device was the reason. */
export async function request(path: string, options: Options = {}): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send(path, options);
    } catch (thrown) {
      // A busy device or one that limits the rate has done nothing, so that any request may be sent again.
      const kind = thrown instanceof Failure ? thrown.kind : null;
      const again = kind === "busy" || kind === "rate-limited" || (kind === "network" && options.repeatable);
      const pause = PAUSES_MS[attempt - 1];
      if (!again || pause === undefined || path === "/pair") throw thrown;
      options.onRetry?.(attempt);
      await wait(pause);
    }
  }
}

export async function json<T>(path: string, options?: Options): Promise<T> {
  return (await (await request(path, options)).json()) as T;
}
