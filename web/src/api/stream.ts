// Server-sent events read with fetch, because EventSource sends no Authorization header.
import { send } from "./client.ts";

export interface StreamEvent { event: string; data: string }

/** Takes the complete events from the front of `text`; `rest` is the part of an event that has not ended. */
export function takeEvents(text: string): { events: StreamEvent[]; rest: string } {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const events: StreamEvent[] = [];
  for (const block of blocks) {
    let event = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const value = line.slice(line.indexOf(":") + 1).replace(/^ /, "");
      if (line.startsWith("event:")) event = value;
      else if (line.startsWith("data:")) data.push(value);
    }
    if (data.length > 0) events.push({ event, data: data.join("\n") });
  }
  return { events, rest };
}

/** The server writes a comment every 15 s; a stream that is silent for longer than this is dead. */
const SILENCE_MS = 40_000;

/** Reads events until the stream ends or `stop` is aborted. */
export async function readEvents(onEvent: (event: StreamEvent) => void, stop: AbortSignal): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const give = () => silence.abort();
  stop.addEventListener("abort", give);
  try {
    const answer = await send("/events", { signal: silence.signal });
    const reader = answer.body!.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const taken = takeEvents(text + decoder.decode(value, { stream: true }));
      text = taken.rest;
      taken.events.forEach(onEvent);
    }
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", give);
  }
}
