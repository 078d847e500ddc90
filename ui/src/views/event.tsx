/** One event: what it carries, what became of it and why, and once more if wanted. */

import { useEffect, useState } from "react";
import { eventAddress, go, runAddress, treeAddress } from "../address";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Explanation, JournalEvent, Match, NearMiss, Replayed, Verdict } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import {
  Copy,
  Dialog,
  Empty,
  Facts,
  JsonView,
  Page,
  Panel,
  ProblemNote,
  Prose,
  Segments,
  Skeleton,
} from "../parts/parts";
import { Status, StatusSign } from "../parts/status";
import { Time } from "../parts/time";
import { useMay } from "../session";

const STANDARD = new Set([
  "specversion",
  "id",
  "source",
  "type",
  "subject",
  "time",
  "data",
  "data_base64",
  "datacontenttype",
  "dataschema",
]);

export function EventView({ id, trigger }: { id: string; trigger: string | null }) {
  const [isReplaying, setReplaying] = useState(false);
  const may = useMay();
  const key = JSON.stringify([id, trigger]);
  const entry = useResource(key, (signal) => hub.event(id, trigger, signal), { every: 2000 });
  const why = useResource(`why ${key}`, (signal) => hub.explain(id, trigger, signal), {
    every: 4000,
  });
  const { data } = entry;
  if (!data) {
    return (
      <Page title={id} above={<Link href="/events">Events</Link>}>
        <Panel>
          {entry.problem?.status === 404 ? (
            <Empty icon="events" title="The journal has no such event">
              It may be older than what the journal keeps.{" "}
              <Link href="/events">See the journal</Link>
            </Empty>
          ) : entry.problem ? (
            <ProblemNote problem={entry.problem} retry={entry.refresh} />
          ) : (
            <Skeleton rows={8} />
          )}
        </Panel>
      </Page>
    );
  }
  const { event } = data;
  const replayOf = typeof event.hubreplayof === "string" ? event.hubreplayof : null;
  return (
    <Page
      title={event.type}
      above={
        <>
          <Link href="/events">Events</Link> <Icon name="chevron" size={12} />
          <span className="mono clip">{data.id}</span>
          <Copy text={data.id} what="the event's id" />
        </>
      }
      actions={
        may("event.replay") && (
          <button
            type="button"
            className="button"
            disabled={data.trigger === "callback"}
            title={data.trigger === "callback" ? "A callback link is for one use" : undefined}
            onClick={() => setReplaying(true)}
          >
            <Icon name="replay" /> Replay
          </button>
        )
      }
    >
      {entry.problem && <ProblemNote problem={entry.problem} stale />}
      <Panel>
        <Facts
          facts={[
            ["Status", <Status key="status" status={data.status} />],
            ["Received", <Time key="received" at={data.received_at} both />],
            [
              "Trigger",
              <Link key="trigger" href={`/events?trigger=${encodeURIComponent(data.trigger)}`}>
                {data.trigger}
              </Link>,
            ],
            ["Source", event.source],
            ["Subject", event.subject],
            ["Sent", event.time && <Time at={event.time} both />],
            ["Further copies", why.data?.duplicates ? why.data.duplicates : undefined],
            [
              "Replay of",
              replayOf && (
                <Link key="of" href={eventAddress(replayOf, data.trigger)}>
                  {replayOf}
                </Link>
              ),
            ],
          ]}
        />
      </Panel>
      {why.data?.error && (
        <div className="note bad">
          <Icon name="alert" />
          <div>{why.data.error}</div>
        </div>
      )}
      <div className="halves uneven">
        <div className="stack">
          <Panel flush title="What became of it, and why">
            {why.data ? (
              <Why why={why.data} />
            ) : why.problem ? (
              <ProblemNote problem={why.problem} retry={why.refresh} />
            ) : (
              <Skeleton />
            )}
          </Panel>
          {why.data && why.data.near_misses.length > 0 && (
            <Panel flush title="Near misses" note="runs that it nearly reached">
              <NearMisses misses={why.data.near_misses} />
            </Panel>
          )}
        </div>
        <div className="stack">
          <Panel title="Data">
            <JsonView value={event.data ?? null} label="The event's data" />
          </Panel>
          <Extensions entry={data} />
        </div>
      </div>
      {isReplaying && (
        <ReplayDialog id={data.id} trigger={data.trigger} onClose={() => setReplaying(false)} />
      )}
    </Page>
  );
}

function Extensions({ entry }: { entry: JournalEvent }) {
  const rest = Object.entries(entry.event).filter(([name]) => !STANDARD.has(name));
  if (rest.length === 0) return null;
  return (
    <Panel title="Extensions">
      <Facts facts={rest.map(([name, value]) => [name, String(value)])} />
    </Panel>
  );
}

function Why({ why }: { why: Explanation }) {
  if (why.subscriptions.length === 0) {
    return (
      <Empty icon="trees" title="No tree subscribes to this trigger">
        A tree names it under <code>events:</code>, as <code>webhook: {why.trigger}</code>.
      </Empty>
    );
  }
  // What became of it comes first; those that only filtered it out are many, and told of when asked.
  const filtered = why.subscriptions.filter((verdict) => verdict.outcome === "filtered");
  const others = why.subscriptions.filter((verdict) => verdict.outcome !== "filtered");
  return (
    <>
      {others.length > 0 && <Verdicts verdicts={others} />}
      {filtered.length > 0 && (
        <details className="filtered" open={others.length === 0}>
          <summary>
            <StatusSign status="filtered" size={18} />
            <span className="grow">
              {filtered.length === 1 ? "1 subscription" : `${filtered.length} subscriptions`}{" "}
              filtered it out
            </span>
            <Icon name="down" />
          </summary>
          <Verdicts verdicts={filtered} />
        </details>
      )}
    </>
  );
}

function Verdicts({ verdicts }: { verdicts: Verdict[] }) {
  return (
    <ol className="verdicts">
      {verdicts.map((verdict) => (
        <VerdictItem
          key={`${verdict.tree} ${verdict.subscription} ${verdict.outcome} ${verdict.run_id}`}
          verdict={verdict}
        />
      ))}
    </ol>
  );
}

function VerdictItem({ verdict }: { verdict: Verdict }) {
  const values = Object.entries(verdict.values);
  return (
    <li className={verdict.outcome === "filtered" ? "verdict quiet" : "verdict"}>
      <StatusSign status={verdict.outcome} size={18} />
      <div className="grow">
        <div className="row">
          <Status status={verdict.outcome} />
          <span>
            <Link href={treeAddress(verdict.tree)}>{verdict.tree}</Link>
            <span className="faint"> · </span>
            <strong>{verdict.subscription}</strong>
          </span>
          {verdict.match !== null && (
            <span className="soft">
              by the value <code className="value">{verdict.match}</code>
            </span>
          )}
          {verdict.runs.map((run) => (
            <Link key={run} className="mono break" href={runAddress(run)}>
              {run}
            </Link>
          ))}
          {verdict.runs.length === 0 && verdict.run_id && (
            <span className="mono faint break">
              {verdict.match === null ? verdict.run_id : "no run has had it"}
            </span>
          )}
        </div>
        {verdict.reason && (
          <p className="soft break">
            <Prose text={verdict.reason} />
          </p>
        )}
        {values.length > 0 && (
          <ul className="looked">
            {values.map(([name, value]) => (
              <li key={name}>
                <code>{name}</code> is <code className="value">{JSON.stringify(value)}</code>
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}

function NearMisses({ misses }: { misses: NearMiss[] }) {
  return (
    <ol className="verdicts">
      {misses.map((miss) => (
        <li key={miss.run_id} className="verdict">
          <Icon name="search" />
          <div className="grow">
            <Link className="mono break" href={runAddress(miss.run_id)}>
              {miss.run_id}
            </Link>
            <p className="soft break">
              <Prose text={miss.reason} />
            </p>
          </div>
        </li>
      ))}
    </ol>
  );
}

/** What a replay would do stands there before it can be done. */
function ReplayDialog({
  id,
  trigger,
  onClose,
}: {
  id: string;
  trigger: string;
  onClose: () => void;
}) {
  const [mode, setMode] = useState<"starts" | "all">("starts");
  const [again, setAgain] = useState(false);
  const [planned, setPlanned] = useState<Replayed | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    const aborter = new AbortController();
    setPlanned(null);
    hub.replay(id, trigger, { dry_run: true, mode, again: false }, aborter.signal).then(
      (answer) => {
        setPlanned(answer);
        setProblem(null);
      },
      (error) => error instanceof Problem && setProblem(error),
    );
    return () => aborter.abort();
  }, [id, trigger, mode]);
  async function replay() {
    setBusy(true);
    try {
      const done = await hub.replay(id, trigger, { dry_run: false, mode, again });
      onClose();
      if (done.id) go(eventAddress(done.id, trigger));
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
      setBusy(false);
    }
  }
  return (
    <Dialog title="Replay this event" onClose={onClose}>
      <div className="body">
        <Segments
          label="What to replay"
          value={mode}
          onChange={setMode}
          options={[
            ["starts", "Only what it starts"],
            ["all", "Waiting runs too"],
          ]}
        />
        <section className="plan" aria-live="polite">
          <h3>By the trees of now it would</h3>
          {!planned ? (
            <p className="faint">…</p>
          ) : planned.matches.length === 0 ? (
            <p className="soft">reach nothing. The replay would stay in the journal, unmatched.</p>
          ) : (
            <ul>
              {planned.matches.map((match) => (
                <MatchItem key={`${match.tree} ${match.subscription}`} match={match} />
              ))}
            </ul>
          )}
        </section>
        <label className="tick">
          <input
            type="checkbox"
            checked={again}
            onChange={(event) => setAgain(event.target.checked)}
          />
          <span>
            Count it as a new event
            <span className="field-hint">
              {" "}
              Without this, runs that have had it recognise it and do nothing twice.
            </span>
          </span>
        </label>
        {problem && <ProblemNote problem={problem} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Leave it
          </button>
          <button
            type="button"
            className="button primary"
            disabled={!planned || isBusy}
            onClick={replay}
          >
            <Icon name="replay" /> Replay now
          </button>
        </footer>
      </div>
    </Dialog>
  );
}

function MatchItem({ match }: { match: Match }) {
  return (
    <li className="row">
      <Status status={match.outcome} />
      {match.run_id ? (
        <span className="mono break">{match.run_id}</span>
      ) : (
        <span>
          {match.tree} · {match.subscription}
        </span>
      )}
      {match.reason && <span className="soft">{match.reason}</span>}
    </li>
  );
}
