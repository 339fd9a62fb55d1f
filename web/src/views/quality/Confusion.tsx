import type { Quality } from "../../api/types.ts";
import { t } from "../../messages/index.ts";
import { nameOf } from "../../state/app.ts";
import { Card } from "../../parts/Card.tsx";
import { Scroll } from "../../parts/Scroll.tsx";

/** The confusion matrix as a table; the shade of a cell is its share of the row. */
export function Confusion({ quality }: { quality: Quality }) {
  const { slots, counts, unknown } = quality.confusion;
  return (
    <Card id="confusion" title={t("quality.confusion")}>
      <Scroll by="confusion">
        <table class="confusion">
          <thead>
            <tr><td /><th scope="colgroup" colSpan={slots.length + 1}>{t("quality.predicted")}</th></tr>
            <tr>
              <th scope="col">{t("quality.true")}</th>
              {slots.map((slot) => <th scope="col" key={slot}>{nameOf(slot)}</th>)}
              <th scope="col" class="unknown">{t("quality.unknown")}</th>
            </tr>
          </thead>
          <tbody>
            {slots.map((slot, row) => {
              const line = counts[row] ?? [];
              const missed = unknown[row] ?? 0;
              const total = line.reduce((sum, count) => sum + count, missed) || 1;
              return (
                <tr key={slot}>
                  <th scope="row">{nameOf(slot)}</th>
                  {line.map((count, column) => <Cell key={column} kind={column === row ? "right" : "wrong"} count={count} share={count / total} />)}
                  <Cell kind="unknown" count={missed} share={missed / total} />
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
    </Card>
  );
}

function Cell({ kind, count, share }: { kind: string; count: number; share: number }) {
  return <td class={`cell ${kind}${count === 0 ? " zero" : ""}`} style={{ "--share": share.toFixed(3) }}>{count}</td>;
}
