/** The hub at a glance; each number leads to its list. */

import { runAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { Overview, RunStatus } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status, StatusSign, wordOf } from "../parts/status";
import { Time } from "../parts/time";
import { EventRows } from "./events";

export function OverviewView() {
  const overview = useResource("overview", hub.overview, { every: 3000 });
  const waiting = useResource(
    "waiting",
    (signal) => hub.runs({ status: "running", limit: 8 }, signal),
    { every: 3000 },
  );
  const recent = useResource("recent", (signal) => hub.events({ limit: 8 }, signal), {
    every: 3000,
  });
  const triggers = useResource("triggers", hub.triggers);
  const { data } = overview;
  const hook = triggers.data?.items.find((trigger) => trigger.url)?.url;
  const isNew = data && sum(data.events) === 0 && !sum(data.runs ?? {});
  return (
    <Page title="Overview">
      {overview.problem && (
        <ProblemNote problem={overview.problem} retry={overview.refresh} stale={!!data} />
      )}
      {data?.checks
        .filter((check) => !check.ok)
        .map((check) => (
          <div className="note bad" role="alert" key={check.name}>
            <Icon name="alert" />
            <div>
              <strong>{check.name}</strong> is not well: {check.detail}
            </div>
          </div>
        ))}
      <Numbers data={data} />
      {isNew ? (
        <Panel>
          <Empty icon="send" title="Nothing has happened yet">
            Send the first event to a webhook; runs that it starts appear here at once.
            {hook && (
              <CodeLine
                what="the command"
                text={`curl -s ${hook} -H 'content-type: application/json' -d '{"id":"evt-1","type":"user.signed_up","data":{"user_id":"u1","email":"ada@example.com"}}'`}
              />
            )}
          </Empty>
        </Panel>
      ) : (
        <div className="halves">
          <Panel
            flush
            title="Running now"
            note={<Link href="/runs?status=running">All running</Link>}
          >
            {!waiting.data ? (
              <Skeleton />
            ) : waiting.data.items.length === 0 ? (
              <Empty icon="runs" title="No run is under way">
                A run begins when an event arrives that a tree starts with.
              </Empty>
            ) : (
              <ul className="lines">
                {waiting.data.items.map((run) => (
                  <li key={run.id}>
                    <Link href={runAddress(run.id)} className="line">
                      <StatusSign status={run.waiting_for.length ? "waiting" : "running"} />
                      <span className="grow clip">
                        <strong>{run.key ?? run.id}</strong>{" "}
                        <span className="faint">{run.tree}</span>
                      </span>
                      <span className="soft small clip">
                        {run.waiting_for.length
                          ? `waits for ${run.waiting_for.join(", ")}`
                          : "at work, or in a delay"}
                      </span>
                      <span className="faint small">
                        <Time at={run.started_at} />
                      </span>
                    </Link>
                  </li>
                ))}
              </ul>
            )}
          </Panel>
          <Panel flush title="Latest events" note={<Link href="/events">The journal</Link>}>
            {recent.data ? <EventRows events={recent.data.items} compact /> : <Skeleton />}
          </Panel>
        </div>
      )}
    </Page>
  );
}

function sum(counts: Partial<Record<string, number>>): number {
  return Object.values(counts).reduce<number>((total, count) => total + (count ?? 0), 0);
}

const ENDED: RunStatus[] = ["succeeded", "failed", "cancelled", "terminated", "timed_out"];

function Numbers({ data }: { data: Overview | undefined }) {
  const hour = data?.per_minute.reduce((total, count) => total + count, 0);
  const runs = data?.runs;
  return (
    <div className="numbers">
      <section className="panel number-card wide">
        <Link href="/events" className="number-link">
          <h2>Events in the last hour</h2>
          <span className="big">{hour ?? "–"}</span>
        </Link>
        <Bars counts={data?.per_minute ?? Array(60).fill(0)} />
      </section>
      <section className="panel number-card">
        <Link href="/runs?status=running" className="number-link">
          <h2>Runs under way</h2>
          <span className="big">{runs ? (runs.running ?? 0) : "–"}</span>
        </Link>
        <ul className="tally">
          {ENDED.filter((status) => status === "succeeded" || runs?.[status]).map((status) => (
            <li key={status}>
              <Link href={`/runs?status=${status}`}>
                <StatusSign status={status} size={14} />
                <span className="number">{runs?.[status] ?? 0}</span> {wordOf(status)}
              </Link>
            </li>
          ))}
        </ul>
      </section>
      <section className="panel number-card">
        <Link href="/events?status=dead" className="number-link">
          <h2>Dead letters</h2>
          <span className={`big ${data?.events.dead ? "tone-bad" : ""}`}>
            {data?.events.dead ?? "–"}
          </span>
        </Link>
        <ul className="tally">
          {(["accepted", "delivered", "unmatched", "duplicate"] as const).map((status) => (
            <li key={status}>
              <Link href={`/events?status=${status}`}>
                <StatusSign status={status} size={14} />
                <span className="number">{data?.events[status] ?? 0}</span> {wordOf(status)}
              </Link>
            </li>
          ))}
        </ul>
      </section>
      <section className="panel number-card">
        <Link href="/trees" className="number-link">
          <h2>Trees</h2>
          <span className="big">{data?.trees ?? "–"}</span>
        </Link>
        <ul className="tally">
          <li>
            <Link href="/triggers">
              <Icon name="triggers" size={14} />
              <span className="number">{data?.triggers ?? 0}</span> triggers
            </Link>
          </li>
          {data?.checks.map((check) => (
            <li key={check.name}>
              <Status status={check.ok ? "succeeded" : "failed"} />
              <span className="soft">{check.name}</span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

/** Events per minute of the last hour. */
function Bars({ counts }: { counts: number[] }) {
  const most = Math.max(1, ...counts);
  const now = counts.at(-1) ?? 0;
  return (
    <figure className="bars">
      <svg
        viewBox={`0 0 ${counts.length * 4} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Events per minute in the last hour: at most ${Math.max(0, ...counts)}, ${now} in this minute`}
      >
        {counts.map((count, minute) => {
          const height = count ? Math.max(2.5, (count / most) * 38) : 1;
          return (
            <rect
              key={minute}
              x={minute * 4}
              y={40 - height}
              width={3}
              height={height}
              rx={0.8}
              className={count ? "some" : "none"}
            />
          );
        })}
      </svg>
      <figcaption>
        <span>an hour ago</span>
        <span>peak {Math.max(0, ...counts)} a minute</span>
        <span>now</span>
      </figcaption>
    </figure>
  );
}
