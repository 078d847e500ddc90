/** Where events come in: addresses to copy, and what came last. */

import { eventAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { Trigger } from "../api/types";
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
    </Page>
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
    <section className="panel card">
      <header className="row">
        <span className="card-sign">
          <Icon name={ICONS[trigger.kind] ?? "triggers"} />
        </span>
        <h2 className="grow clip">{trigger.name}</h2>
        <span className="badge">{trigger.kind}</span>
      </header>
      {trigger.url && <CodeLine text={trigger.url} what={`the address of ${trigger.name}`} />}
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
