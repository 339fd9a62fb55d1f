import type { Proportion } from "../api/types.ts";

export type GoalState = "unmeasured" | "open" | "reached" | "certain";

/** How a measured proportion stands to its target: "certain" if even the lower end of the interval reaches it. */
export function goalState(of: Proportion | null, target: number): GoalState {
  if (!of) return "unmeasured";
  return of.low >= target ? "certain" : of.value >= target ? "reached" : "open";
}
