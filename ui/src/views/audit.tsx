/** Who changed what, newest first. */

import { type AuditFilter, hub } from "../api/client";
import { useResource } from "../api/resource";
import type { AuditOutcome, AuditRecord } from "../api/types";
import { ClearFilters, FilterSelect, FilterText, optionsOf, Pager } from "../parts/filters";
import { Empty, JsonView, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Time } from "../parts/time";

const OUTCOMES: AuditOutcome[] = ["done", "refused", "failed", "begun"];
const KINDS = ["run", "event", "schedule", "approval", "tree", "user", "token", "session"];

export function AuditView({ query }: { query: URLSearchParams }) {
  const filter: AuditFilter = {
    who: query.get("who"),
    action: query.get("action"),
    object: query.get("object"),
    outcome: query.get("outcome") as AuditOutcome | null,
    cursor: query.get("cursor"),
    limit: 50,
  };
  const audit = useResource(JSON.stringify(filter), (signal) => hub.audit(filter, signal), {
    every: filter.cursor ? null : 5000,
    keep: true,
  });
  const isFiltered = !!(filter.who || filter.action || filter.object || filter.outcome);
  return (
    <Page title="Audit">
      <search className="filters">
        <FilterSelect
          label="Outcome"
          name="outcome"
          value={filter.outcome}
          options={optionsOf("Any outcome", OUTCOMES)}
        />
        <FilterSelect
          label="Of what"
          name="action"
          value={filter.action}
          options={optionsOf("Anything", KINDS)}
        />
        <FilterText label="Who" name="who" value={filter.who} />
        <FilterText label="Object" name="object" value={filter.object} />
        {isFiltered && <ClearFilters href="/audit" />}
      </search>
      {audit.problem && (
        <ProblemNote problem={audit.problem} retry={audit.refresh} stale={!!audit.data} />
      )}
      <Panel flush>
        {!audit.data ? (
          <Skeleton rows={8} />
        ) : audit.data.items.length === 0 ? (
          <Empty icon="log" title={isFiltered ? "Nothing fits these filters" : "No changes yet"}>
            Every change by a person or a token is written here before it is done.
          </Empty>
        ) : (
          <div className="table-wrap audit">
            <table>
              <thead>
                <tr>
                  <th>Who</th>
                  <th>What</th>
                  <th>Outcome</th>
                  <th>When</th>
                </tr>
              </thead>
              <tbody>
                {audit.data.items.map((entry) => (
                  <Row key={entry.id} entry={entry} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
      <Pager cursor={filter.cursor} next={audit.data?.next} />
    </Page>
  );
}

function Row({ entry }: { entry: AuditRecord }) {
  const by = [entry.how, entry.credential, entry.address].filter(Boolean).join(", ");
  const hasMore = entry.before !== null || entry.after !== null;
  return (
    <tr>
      <td className="break">
        {entry.who}
        <div className="faint small">{by}</div>
      </td>
      <td className="break">
        <strong>{entry.action}</strong> <span className="soft">{entry.object}</span>
        {hasMore && (
          <details>
            <summary className="soft small">
              {entry.before === null ? "with what" : "before and after"}
            </summary>
            {entry.before !== null && <JsonView value={entry.before} label="before" />}
            {entry.after !== null && <JsonView value={entry.after} label="after" />}
          </details>
        )}
      </td>
      <td className="soft break">
        {entry.outcome}
        {entry.reason && <div className="small">{entry.reason}</div>}
      </td>
      <td className="soft">
        <Time at={entry.at} />
      </td>
    </tr>
  );
}
