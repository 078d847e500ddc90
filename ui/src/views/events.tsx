/** The journal: every event that came in, newest first, with what became of it. */

import { useEffect, useState } from "react";
import { eventAddress, isMatch } from "../address";
import { type EventFilter, hub, journalStream } from "../api/client";
import { useLive, useSoon } from "../api/live";
import { useResource } from "../api/resource";
import type { EventStatus, JournalEvent } from "../api/types";
import { ClearFilters, FilterSelect, FilterText, optionsOf, Pager } from "../parts/filters";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status, StatusSign, wordOf } from "../parts/status";
import { Time } from "../parts/time";

const STATUSES: EventStatus[] = ["accepted", "delivered", "unmatched", "duplicate", "dead"];

const SPANS: [string, string][] = [
  ["", "Any time"],
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
];
const MINUTES: Record<string, number> = { "15m": 15, "1h": 60, "24h": 1440, "7d": 10080 };

export function EventsView({ query }: { query: URLSearchParams }) {
  const within = query.get("within") ?? "";
  const filter: EventFilter = {
    status: query.get("status") as EventStatus | null,
    trigger: query.get("trigger"),
    type: query.get("type"),
    key: query.get("key"),
    cursor: query.get("cursor"),
    limit: 50,
  };
  const isFiltered = !!(filter.status || filter.trigger || filter.type || filter.key || within);
  const [isLive, setLive] = useState(false);
  const events = useResource(
    JSON.stringify([filter, within]),
    (signal) => hub.events({ ...filter, since: sinceOf(within) }, signal),
    { every: filter.cursor ? null : isLive ? 15_000 : 2000, keep: true },
  );
  const refreshSoon = useSoon(events.refresh);
  // What the tail tells may be of another status or key: the list is asked for anew.
  const isOpen = useLive(
    filter.cursor
      ? null
      : journalStream({ trigger: filter.trigger ?? null, type: filter.type ?? null }),
    { event: refreshSoon, problem: refreshSoon },
  );
  useEffect(() => setLive(isOpen), [isOpen]);
  const triggers = useResource("triggers", hub.triggers);
  const hook = triggers.data?.items.find((trigger) => trigger.url)?.url;
  return (
    <Page title="Events" actions={!filter.cursor && <span className="live">live</span>}>
      <search className="filters">
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
          label="Trigger"
          name="trigger"
          value={filter.trigger}
          options={optionsOf("Any trigger", [
            ...(triggers.data?.items ?? []).map((one) => one.name),
            "api",
            "callback",
          ])}
        />
        <FilterSelect label="Time" name="within" value={within} options={SPANS} />
        <FilterText label="Type" name="type" value={filter.type} />
        <FilterText label="Key" name="key" value={filter.key} />
        {isFiltered && <ClearFilters href="/events" />}
      </search>
      {events.problem && (
        <ProblemNote problem={events.problem} retry={events.refresh} stale={!!events.data} />
      )}
      <Panel flush>
        {!events.data ? (
          <Skeleton rows={8} />
        ) : events.data.items.length === 0 ? (
          isFiltered ? (
            <Empty icon="search" title="No event fits these filters">
              Types and keys are compared whole. Loosen a filter, or{" "}
              <Link href="/events">see the whole journal</Link>.
            </Empty>
          ) : (
            <Empty icon="events" title="The journal is empty">
              Every event that comes in is written here before its sender gets an answer. Send one:
              {hook && (
                <CodeLine
                  what="the command"
                  text={`curl -s ${hook} -H 'content-type: application/json' -d '{"id":"evt-1","type":"user.signed_up","data":{"user_id":"u1"}}'`}
                />
              )}
            </Empty>
          )
        ) : (
          <EventRows events={events.data.items} />
        )}
      </Panel>
      <Pager cursor={filter.cursor} next={events.data?.next} />
    </Page>
  );
}

function sinceOf(within: string): string | null {
  const minutes = MINUTES[within];
  return minutes ? new Date(Date.now() - minutes * 60_000).toISOString() : null;
}

export function EventRows({
  events,
  compact = false,
}: {
  events: JournalEvent[];
  compact?: boolean;
}) {
  if (compact) {
    return events.length === 0 ? (
      <Empty icon="events" title="The journal is empty" />
    ) : (
      <ul className="lines">
        {events.map((entry) => (
          <li key={`${entry.trigger} ${entry.id}`}>
            <Link className="line" href={eventAddress(entry.id, entry.trigger)}>
              <StatusSign status={entry.status} />
              <span className="grow clip">
                <strong>{entry.event.type}</strong> <span className="faint">{keyOf(entry)}</span>
              </span>
              <span className="soft small clip">{became(entry)}</span>
              <span className="faint small">
                <Time at={entry.received_at} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    );
  }
  return (
    <div className="table-wrap">
      <table>
        <thead>
          <tr>
            <th>Status</th>
            <th>Type</th>
            <th className="hide-narrow">Key</th>
            <th className="hide-narrow">Trigger</th>
            <th>What became of it</th>
            <th>Received</th>
          </tr>
        </thead>
        <tbody>
          {events.map((entry) => (
            <tr key={`${entry.trigger} ${entry.id}`} className="linked">
              <td>
                <Status status={entry.status} />
              </td>
              <td>
                <Link className="whole break" href={eventAddress(entry.id, entry.trigger)}>
                  {entry.event.type}
                </Link>
              </td>
              <td className="hide-narrow soft break">{keyOf(entry)}</td>
              <td className="hide-narrow soft">{entry.trigger}</td>
              <td className="soft">{became(entry)}</td>
              <td className="soft">
                <Time at={entry.received_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function keyOf(entry: JournalEvent): string {
  const keys = entry.deliveries.map((delivery) => delivery.key).filter((key) => key !== null);
  return [...new Set(keys)].join(", ");
}

/** One line of what happened: `started user-onboarding/u1`. */
function became(entry: JournalEvent): string {
  const told = entry.deliveries.filter((d) => d.outcome !== "filtered");
  const [first] = told;
  if (!first) return entry.status === "unmatched" ? "no subscription wanted it" : "";
  const more = told.length > 1 ? ` and ${told.length - 1} more` : "";
  const run =
    first.run_id && !isMatch(first.run_id)
      ? first.run_id
      : first.run_id
        ? `${first.tree}, by the value ${first.key}`
        : first.tree;
  switch (first.outcome) {
    case "started":
      return `started ${run}${more}`;
    case "resumed":
      return `resumed ${run}${more}`;
    case "delivered":
      return `delivered to ${run}${more}`;
    default:
      return `${run}: ${wordOf(first.outcome)}${more}`;
  }
}
