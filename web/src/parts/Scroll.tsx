import type { ComponentChildren } from "preact";

/** A wide table in a region of its own that scrolls; it takes the focus, so that keyboards can scroll it. `by`: the id of its heading. */
export function Scroll({ by, tall, children }: { by: string; tall?: boolean; children: ComponentChildren }) {
  return <div class={tall ? "scroll tall" : "scroll"} tabIndex={0} role="region" aria-labelledby={by}>{children}</div>;
}
