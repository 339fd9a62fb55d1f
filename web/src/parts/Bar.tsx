import type { Proportion } from "../api/types.ts";
import { interval, probability } from "../logic/format.ts";

/** A probability as a bar with its figure. */
export function Bar({ value, label }: { value: number; label: string }) {
  return (
    <div class="bar">
      <div class="bar-head"><span>{label}</span><strong>{probability(value)}</strong></div>
      <div class="bar-track"><div class="bar-fill" style={{ width: `${value * 100}%` }} /></div>
    </div>
  );
}

/** A proportion on a line from 0 to 100 %: the band is its 95 % interval, the mark its value, `target` a goal. */
export function Interval({ of, target }: { of: Proportion | null; target?: number | undefined }) {
  if (!of) return <span class="muted">–</span>;
  return (
    <div class="interval">
      <span class="interval-text">{interval(of)}</span>
      <div class="interval-track" aria-hidden="true">
        <div class="interval-band" style={{ left: `${of.low * 100}%`, width: `${(of.high - of.low) * 100}%` }} />
        {target !== undefined && <div class="interval-target" style={{ left: `${target * 100}%` }} />}
        <div class="interval-mark" style={{ left: `${of.value * 100}%` }} />
      </div>
    </div>
  );
}
