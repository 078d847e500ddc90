/** Runs, newest first; the filters are kept in the address. */

import { useEffect, useState } from "react";
import { go, runAddress, withQuery } from "../address";
import { hub, type RunFilter } from "../api/client";
import { useResource } from "../api/resource";
import type { RunStatus, RunSummary } from "../api/types";
import { Icon } from "../parts/icons";
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
    status: query.get("status") as RunStatus | null,
    waiting_for: query.get("waiting_for"),
    cursor: query.get("cursor"),
    limit: 50,
  };
  const isFiltered = !!(filter.tree || filter.key || filter.status || filter.waiting_for);
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
        <select
          aria-label="Status"
          value={filter.status ?? ""}
          onChange={(event) => go(withQuery({ status: event.target.value, cursor: null }))}
        >
          <option value="">Any status</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {wordOf(status)}
            </option>
          ))}
        </select>
        <select
          aria-label="Tree"
          value={filter.tree ?? ""}
          onChange={(event) => go(withQuery({ tree: event.target.value, cursor: null }))}
        >
          <option value="">Any tree</option>
          {names(trees.data?.items, filter.tree).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <FilterText label="Key" name="key" value={filter.key} />
        <FilterText label="Waits for" name="waiting_for" value={filter.waiting_for} />
        {isFiltered && (
          <Link href="/runs" className="button small">
            <Icon name="cross" size={14} /> Clear
          </Link>
        )}
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
      {(filter.cursor || runs.data?.next) && (
        <div className="foot">
          {filter.cursor ? (
            <Link className="button small" href={withQuery({ cursor: null })}>
              <Icon name="back" size={14} /> Newest
            </Link>
          ) : (
            <span />
          )}
          {runs.data?.next && (
            <Link className="button small" href={withQuery({ cursor: runs.data.next })}>
              Older <Icon name="chevron" size={14} />
            </Link>
          )}
        </div>
      )}
    </Page>
  );
}

function names(items: { name: string }[] | undefined, chosen: string | null | undefined) {
  const known = (items ?? []).map((item) => item.name);
  return chosen && !known.includes(chosen) ? [chosen, ...known] : known;
}

/** A filter that is typed; it takes effect when one stops typing. */
export function FilterText({
  label,
  name,
  value,
}: {
  label: string;
  name: string;
  value: string | null | undefined;
}) {
  const [text, setText] = useState(value ?? "");
  useEffect(() => setText(value ?? ""), [value]);
  useEffect(() => {
    if (text === (value ?? "")) return;
    const timer = window.setTimeout(
      () => go(withQuery({ [name]: text.trim(), cursor: null }), { replace: true }),
      250,
    );
    return () => window.clearTimeout(timer);
  }, [text, value, name]);
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={label}
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
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
