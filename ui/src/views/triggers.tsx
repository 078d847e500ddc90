/** Where events come in: addresses to copy, and what came last. */

import { eventAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { Schedule, Trigger } from "../api/types";
import { Icon, type IconName } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { StatusSign } from "../parts/status";
import { Time } from "../parts/time";
import { Schedules } from "./schedules";

const ICONS: Record<string, IconName> = { webhook: "send", kafka: "parallel", schedule: "clock" };

/** The sign of a kind of trigger. */
export function signOf(kind: string | null | undefined): IconName {
  return ICONS[kind ?? ""] ?? "triggers";
}

export function TriggersView() {
  const triggers = useResource("triggers", hub.triggers, { every: 10_000 });
  const schedules = useResource("schedules", hub.schedules, { every: 30_000 });
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
              <TriggerCard
                trigger={trigger}
                schedule={schedules.data?.items.find((one) => one.trigger === trigger.name)}
              />
            </li>
          ))}
        </ul>
      )}
      <Schedules />
    </Page>
  );
}

function TriggerCard({ trigger, schedule }: { trigger: Trigger; schedule: Schedule | undefined }) {
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
          <Icon name={signOf(trigger.kind)} />
        </span>
        <h2 className="grow clip">{trigger.name}</h2>
        {trigger.provider && <span className="faint small">{trigger.provider}</span>}
        <span className="badge">{trigger.kind}</span>
      </header>
      {trigger.url && <CodeLine text={trigger.url} what={`the address of ${trigger.name}`} />}
      {trigger.topics.length > 0 && (
        <CodeLine text={trigger.topics.join(", ")} what={`the topics of ${trigger.name}`} />
      )}
      {schedule && (
        <CodeLine text={schedule.times.join(", ")} what={`the times of ${trigger.name}`} />
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
