import { useEffect, useState } from "preact/hooks";
import * as calls from "../../api/calls.ts";
import type { AuditEntry } from "../../api/types.ts";
import { dateTime, shortHash } from "../../logic/format.ts";
import { actionText, t } from "../../messages/index.ts";
import { app, operatorName } from "../../state/app.ts";
import { useStore } from "../../state/store.ts";
import { complain } from "../../state/toasts.ts";
import { Card } from "../../parts/Card.tsx";
import { Scroll } from "../../parts/Scroll.tsx";

/** Who did what, newest first. */
export function Audit() {
  const { revision, device, reachable } = useStore(app);
  const ready = device !== null && reachable;
  const [entries, setEntries] = useState<AuditEntry[] | null>(null);
  useEffect(() => {
    if (ready) calls.audit(100).then(({ entries }) => setEntries(entries), complain);
  }, [revision, ready]);
  return (
    <Card id="audit" title={t("device.audit")}>
      {entries?.length === 0 && <p class="muted">{t("device.audit.none")}</p>}
      {entries && entries.length > 0 && (
        <Scroll by="audit" tall>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("device.audit.when")}</th>
                <th scope="col">{t("device.audit.what")}</th>
                <th scope="col">{t("device.audit.who")}</th>
                <th scope="col">{t("device.audit.client")}</th>
                <th scope="col">{t("device.audit.result")}</th>
              </tr>
            </thead>
            <tbody>{entries.map((entry, index) => <Entry key={index} entry={entry} />)}</tbody>
          </table>
        </Scroll>
      )}
    </Card>
  );
}

function Entry({ entry }: { entry: AuditEntry }) {
  const [first] = entry.samples;
  return (
    <tr>
      <td class="nowrap">{dateTime(entry.time_s) || t("sample.when.unknown")}</td>
      <td>
        {actionText(entry.action)}{entry.class && <> <strong>{entry.class}</strong></>}
        {first && <span class="mono muted small" title={entry.samples.join("\n")}> {entry.samples.length > 1 ? t("class.samples", { n: entry.samples.length }) : shortHash(first, 2)}</span>}
      </td>
      <td>{entry.operator === null ? "–" : operatorName(entry.operator)}</td>
      <td class="mono small">{entry.client}</td>
      <td>{entry.result === "done" ? t("device.audit.done") : entry.result}</td>
    </tr>
  );
}
