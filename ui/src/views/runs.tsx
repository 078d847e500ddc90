/** Runs, newest first; the filters are kept in the address. */

import { runAddress } from "../address";
import { hub, type RunFilter } from "../api/client";
import { useResource } from "../api/resource";
import type { RunStatus, RunSummary } from "../api/types";
import { ClearFilters, FilterSelect, FilterText, optionsOf, Pager } from "../parts/filters";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status, wordOf } from "../parts/status";
import { span, Time, useNow } from "../parts/time";

const STATUSES: RunStatus[] = [
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "terminated",
  "timed_out",
];

export function RunsView({ query }: { query: URLSearchParams }) {
  const filter: RunFilter = {
    tree: query.get("tree"),
    key: query.get("key"),
    text: query.get("text"),
    status: query.get("status") as RunStatus | null,
    waiting_for: query.get("waiting_for"),
    cursor: query.get("cursor"),
    limit: 50,
  };
  const isFiltered = !!(
    filter.tree ||
    filter.key ||
    filter.text ||
    filter.status ||
    filter.waiting_for
  );
  const runs = useResource(JSON.stringify(filter), (signal) => hub.runs(filter, signal), {
    every: filter.cursor ? null : 2000,
    keep: true,
  });
  const trees = useResource("trees", hub.trees);
  const triggers = useResource("triggers", hub.triggers);
  const hook = triggers.data?.items.find((trigger) => trigger.url)?.url;
  return (
    <Page title="Runs" actions={!filter.cursor && <span className="live">live</span>}>
      <search className="filters">
        <FilterText label="Search" name="text" value={filter.text} hint="How a key or run begins" />
        <FilterSelect
          label="Status"
          name="status"
          value={filter.status}
          options={[
            ["", "Any status"],
            ...STATUSES.map((one): [string, string] => [one, wordOf(one)]),
          ]}
        />
        <FilterSelect
          label="Tree"
          name="tree"
          value={filter.tree}
          options={optionsOf(
            "Any tree",
            (trees.data?.items ?? []).map((one) => one.name),
          )}
        />
        <FilterText label="Key" name="key" value={filter.key} hint="Whole key" />
        <FilterText label="Waits for" name="waiting_for" value={filter.waiting_for} />
        {isFiltered && <ClearFilters href="/runs" />}
      </search>
      {runs.problem && (
        <ProblemNote problem={runs.problem} retry={runs.refresh} stale={!!runs.data} />
      )}
      <Panel flush>
        {!runs.data ? (
          <Skeleton rows={8} />
        ) : runs.data.items.length === 0 ? (
          isFiltered ? (
            <Empty icon="search" title="No run fits these filters">
              Loosen one of them, or <Link href="/runs">see all runs</Link>.
            </Empty>
          ) : (
            <Empty icon="runs" title="No runs yet">
              A run begins when an event arrives that a tree starts with. Send one:
              {hook && (
                <CodeLine
                  what="the command"
                  text={`curl -s ${hook} -H 'content-type: application/json' -d '{"id":"evt-1","type":"user.signed_up","data":{"user_id":"u1","email":"ada@example.com"}}'`}
                />
              )}
            </Empty>
          )
        ) : (
          <RunTable runs={runs.data.items} />
        )}
      </Panel>
      <Pager cursor={filter.cursor} next={runs.data?.next} />
    </Page>
  );
}

export function RunTable({ runs }: { runs: RunSummary[] }) {
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th>Status</th>
            <th>Key</th>
            <th className="hide-narrow">Tree</th>
            <th>Waits for</th>
            <th>Started</th>
            <th className="hide-narrow">Lasted</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <tr key={run.id + run.started_at} className="linked">
              <td>
                <Status
                  status={
                    run.status === "running" && run.waiting_for.length ? "waiting" : run.status
                  }
                />
              </td>
              <td>
                <Link className="whole break" href={runAddress(run.id)}>
                  {run.key ?? run.id.slice(run.tree.length + 1)}
                </Link>
              </td>
              <td className="hide-narrow soft">{run.tree}</td>
              <td>
                {run.waiting_for.map((name) => (
                  <span key={name} className="badge tone-wait">
                    {name}
                  </span>
                ))}
              </td>
              <td className="soft">
                <Time at={run.started_at} />
              </td>
              <td className="hide-narrow soft number">
                <Lasted run={run} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Lasted({ run }: { run: RunSummary }) {
  const now = useNow();
  if (!run.started_at) return null;
  const until = run.ended_at ? Date.parse(run.ended_at) : now;
  return <>{span(Math.max(0, until - Date.parse(run.started_at)))}</>;
}
