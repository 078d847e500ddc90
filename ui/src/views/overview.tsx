/** The hub at a glance; each number leads to its list. */

import { runAddress, treeAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { ApprovalCounts, Overview, RunStatus, Schedule, Trigger } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { StatusSign, wordOf } from "../parts/status";
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
  const triggers = useResource("triggers", hub.triggers, { every: 5000 });
  const approvals = useResource("approval counts", hub.approvalCounts, { every: 5000 });
  const schedules = useResource("schedules", hub.schedules, { every: 30_000 });
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
      <Numbers
        data={data}
        approvals={approvals.data}
        triggers={triggers.data?.items}
        schedules={schedules.data?.items}
      />
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

function Numbers({
  data,
  approvals,
  triggers,
  schedules,
}: {
  data: Overview | undefined;
  approvals: ApprovalCounts | undefined;
  triggers: Trigger[] | undefined;
  schedules: Schedule[] | undefined;
}) {
  const hour = data?.per_minute.reduce((total, count) => total + count, 0);
  const runs = data?.runs;
  const late = (approvals?.reminded ?? 0) + (approvals?.old ?? 0);
  const consumers = triggers?.flatMap((one) => (one.consumer ? [one.consumer] : []));
  const lag = consumers?.reduce((total, one) => total + one.lag, 0) ?? 0;
  const refused = triggers?.reduce((total, one) => total + (one.refused.bad_signature ?? 0), 0);
  const next = (schedules ?? [])
    .flatMap((one) => (one.next[0] && !one.paused ? [{ tree: one.tree, at: one.next[0] }] : []))
    .sort((a, b) => a.at.localeCompare(b.at))
    .slice(0, 3);
  return (
    <div className="numbers">
      <section className="panel number-card wide">
        <Link href="/events?within=1h" className="number-link">
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
            <Counted
              key={status}
              href={`/runs?status=${status}`}
              status={status}
              count={runs?.[status] ?? 0}
              word={wordOf(status)}
            />
          ))}
        </ul>
      </section>
      <section className="panel number-card">
        <Link href="/approvals" className="number-link">
          <h2>Approvals waiting</h2>
          <span className={`big ${late ? "tone-wait" : ""}`}>{approvals?.open ?? "–"}</span>
        </Link>
        <ul className="tally">
          <Counted
            href="/approvals"
            status={approvals?.reminded ? "late" : "pending"}
            count={approvals?.reminded ?? 0}
            word="past a reminder"
            title="Overdue: their first reminder or escalation was due"
          />
          <Counted
            href="/approvals"
            status={approvals?.old ? "late" : "pending"}
            count={approvals?.old ?? 0}
            word="for more than a day"
            title="Overdue: they neither remind nor escalate, and were asked more than a day ago"
          />
          <Counted
            href="/approvals"
            status={approvals?.ending ? "waiting" : "pending"}
            count={approvals?.ending ?? 0}
            word="end within a day"
          />
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
          {(["unmatched", "duplicate"] as const).map((status) => (
            <Counted
              key={status}
              href={`/events?status=${status}`}
              status={status}
              count={data?.events[status] ?? 0}
              word={wordOf(status)}
            />
          ))}
          {refused ? (
            <Counted href="/triggers" status="rejected" count={refused} word="wrongly signed" />
          ) : null}
        </ul>
      </section>
      <section className="panel number-card">
        <Link href="/events?status=accepted" className="number-link">
          <h2>Not delivered yet</h2>
          <span className="big">{data?.backlog ?? "–"}</span>
        </Link>
        <ul className="tally">
          <Counted
            href="/triggers"
            status={lag ? "waiting" : "succeeded"}
            count={lag}
            word="behind in topics"
          />
          {data?.checks.map((check) => (
            <li key={check.name}>
              <StatusSign status={check.ok ? "succeeded" : "failed"} size={14} /> {check.name}
              <span className="visually-hidden">{check.ok ? "is well" : "is not well"}</span>
            </li>
          ))}
        </ul>
      </section>
      <section className="panel number-card">
        <Link href="/triggers" className="number-link">
          <h2>Scheduled next</h2>
        </Link>
        {next.length === 0 ? (
          <p className="faint small grow">{schedules ? "Nothing is scheduled." : "\u00a0"}</p>
        ) : (
          <ul className="nexts">
            {next.map((one) => (
              <li key={one.tree + one.at}>
                <Link className="clip" href={treeAddress(one.tree)}>
                  {one.tree}
                </Link>
                <span className="faint">
                  <Time at={one.at} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}

function Counted({
  href,
  status,
  count,
  word,
  title,
}: {
  href: string;
  status: string;
  count: number;
  word: string;
  title?: string;
}) {
  return (
    <li>
      <Link href={href} title={title}>
        <StatusSign status={status} size={14} />
        <span className="number">{count}</span> {word}
      </Link>
    </li>
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
