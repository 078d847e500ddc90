/** Where events come in: addresses to copy, and what came last. */

import { useState } from "react";
import { eventAddress, treeAddress } from "../address";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Schedule, Trigger } from "../api/types";
import { Icon, type IconName } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { StatusSign } from "../parts/status";
import { Time } from "../parts/time";

const ICONS: Record<string, IconName> = { webhook: "send", kafka: "parallel", schedule: "clock" };

export function TriggersView() {
  const triggers = useResource("triggers", hub.triggers, { every: 10_000 });
  return (
    <Page title="Triggers">
      {triggers.problem && (
        <ProblemNote problem={triggers.problem} retry={triggers.refresh} stale={!!triggers.data} />
      )}
      {!triggers.data ? (
        <Panel>
          <Skeleton />
        </Panel>
      ) : triggers.data.items.length === 0 ? (
        <Panel>
          <Empty icon="triggers" title="No triggers yet">
            Name where events come in under <code>triggers:</code> in <code>hub.yaml</code>, such as{" "}
            <code>app: {"{webhook: {provider: none}}"}</code>.
          </Empty>
        </Panel>
      ) : (
        <ul className="cards">
          {triggers.data.items.map((trigger) => (
            <li key={trigger.name}>
              <TriggerCard trigger={trigger} />
            </li>
          ))}
        </ul>
      )}
      <Schedules />
    </Page>
  );
}

function Schedules() {
  const schedules = useResource("schedules", hub.schedules, { every: 5000 });
  const [problem, setProblem] = useState<Problem | null>(null);
  if (!schedules.data || schedules.data.items.length === 0) return null;
  async function act(schedule: Schedule, action: "trigger" | "pause" | "resume") {
    try {
      await hub.actOnSchedule(schedule.id, action);
      setProblem(null);
      schedules.refresh();
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
  }
  return (
    <Panel flush title="Schedules" note="kept in Temporal: they fire while no hub is up, too">
      {problem && <ProblemNote problem={problem} />}
      <div className="table-wrap">
        <table>
          <thead>
            <tr>
              <th>Schedule</th>
              <th className="hide-narrow">Times</th>
              <th>Next</th>
              <th>
                <span className="visually-hidden">What can be done</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {schedules.data.items.map((schedule) => (
              <tr key={schedule.id}>
                <td>
                  <Link href={treeAddress(schedule.tree)}>{schedule.tree}</Link>
                  <span className="faint"> · {schedule.subscription}</span>
                  {schedule.status !== "current" && (
                    <span className="badge tone-wait">{schedule.status}</span>
                  )}
                </td>
                <td className="hide-narrow">
                  <code>{schedule.times.join(", ")}</code>{" "}
                  <span className="faint">{schedule.timezone}</span>
                </td>
                <td>
                  {schedule.paused ? (
                    <span className="badge tone-wait" title={schedule.note}>
                      paused
                    </span>
                  ) : schedule.next[0] ? (
                    <Time at={schedule.next[0]} both />
                  ) : (
                    <span className="faint">never</span>
                  )}
                </td>
                <td>
                  <div className="row push-row">
                    <button
                      type="button"
                      className="button small"
                      onClick={() => act(schedule, "trigger")}
                    >
                      Run now
                    </button>
                    <button
                      type="button"
                      className="button small"
                      onClick={() => act(schedule, schedule.paused ? "resume" : "pause")}
                    >
                      {schedule.paused ? "Resume" : "Pause"}
                    </button>
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function TriggerCard({ trigger }: { trigger: Trigger }) {
  const last = useResource(
    `last ${trigger.name}`,
    (signal) => hub.events({ trigger: trigger.name, limit: 1 }, signal),
    { every: 5000 },
  );
  const [entry] = last.data?.items ?? [];
  return (
    <section className="panel card" aria-label={trigger.name}>
      <header className="row">
        <span className="card-sign">
          <Icon name={ICONS[trigger.kind] ?? "triggers"} />
        </span>
        <h2 className="grow clip">{trigger.name}</h2>
        {trigger.provider && <span className="faint small">{trigger.provider}</span>}
        <span className="badge">{trigger.kind}</span>
      </header>
      {trigger.url && <CodeLine text={trigger.url} what={`the address of ${trigger.name}`} />}
      {trigger.topics.length > 0 && (
        <CodeLine text={trigger.topics.join(", ")} what={`the topics of ${trigger.name}`} />
      )}
      <Troubles trigger={trigger} />
      <footer className="row small">
        {entry ? (
          <Link className="row last-event" href={eventAddress(entry.id, trigger.name)}>
            <StatusSign status={entry.status} size={14} />
            <span className="clip">{entry.event.type}</span>
            <span className="faint">
              <Time at={entry.received_at} />
            </span>
          </Link>
        ) : (
          <span className="faint grow">{last.data ? "Nothing has come in yet" : "\u00a0"}</span>
        )}
        <Link href={`/events?trigger=${encodeURIComponent(trigger.name)}`}>Its events</Link>
      </footer>
    </section>
  );
}

const REFUSALS: Record<string, string> = {
  bad_signature: "not signed as they should be",
  bad_request: "not to be read",
  rate_limited: "too many at a time",
  too_large: "too large",
  busy: "while the hub was full",
  unsupported_type: "of another content type",
};

/** How far behind it is, and what was turned away. */
function Troubles({ trigger }: { trigger: Trigger }) {
  const { consumer } = trigger;
  const refused = Object.entries(trigger.refused);
  if (!consumer && refused.length === 0) return null;
  return (
    <ul className="tally">
      {consumer && (
        <li title={consumer.detail ?? undefined}>
          <StatusSign
            status={
              consumer.state === "consuming"
                ? "succeeded"
                : consumer.state === "away"
                  ? "failed"
                  : "waiting"
            }
            size={14}
          />
          {consumer.state}, <span className="number">{consumer.lag}</span> behind
        </li>
      )}
      {refused.map(([code, count]) => (
        <li key={code} className={code === "bad_signature" ? "tone-bad" : ""}>
          <StatusSign status="rejected" size={14} />
          <span className="number">{count}</span> refused: {REFUSALS[code] ?? code}
        </li>
      ))}
    </ul>
  );
}
