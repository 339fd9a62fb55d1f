import type { ComponentChildren } from "preact";

interface Props { id: string; title: string; class?: string; action?: ComponentChildren; children?: ComponentChildren }

/** A part of a view with its heading; `action` stands beside the heading. */
export function Card({ id, title, class: more, action, children }: Props) {
  const heading = <h2 id={id}>{title}</h2>;
  return (
    <section class={`card ${more ?? ""}`} aria-labelledby={id}>
      {action ? <div class="card-head">{heading}{action}</div> : heading}
      {children}
    </section>
  );
}
