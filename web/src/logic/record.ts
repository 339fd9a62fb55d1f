import type { Class, Sample } from "../api/types.ts";

/** How many samples of a class an operator taught, and in which time; operator null: the class has no samples. */
export interface Line { slot: number; operator: number | null; samples: number; from: number; to: number }

/** One line per class and operator, classes in their order, operators by number. Unknown times (0) do not count for `from`. */
export function summarise(classes: Class[], samples: Sample[]): Line[] {
  return classes.flatMap(({ slot }): Line[] => {
    const lines = new Map<number, Line>();
    for (const { operator, time_s } of samples.filter((sample) => sample.class === slot)) {
      const line = lines.get(operator) ?? { slot, operator, samples: 0, from: 0, to: 0 };
      line.samples++;
      if (time_s > 0) line.from = line.from === 0 ? time_s : Math.min(line.from, time_s);
      line.to = Math.max(line.to, time_s);
      lines.set(operator, line);
    }
    if (lines.size === 0) return [{ slot, operator: null, samples: 0, from: 0, to: 0 }];
    return [...lines.values()].sort((a, b) => a.operator! - b.operator!);
  });
}
