/** The accounts that actions use: where they lead, how they do, and a test of each. */

import { useState } from "react";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Connection, ConnectionTest } from "../api/types";
import { Icon } from "../parts/icons";
import { Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status } from "../parts/status";
import { Time } from "../parts/time";
import { useMay } from "../session";
import { iconOf } from "../tree/kinds";

export default function ConnectionsView() {
  const connections = useResource("connections", hub.connections, { every: 5000 });
  return (
    <Page title="Connections">
      {connections.problem && (
        <ProblemNote
          problem={connections.problem}
          retry={connections.refresh}
          stale={!!connections.data}
        />
      )}
      <Panel flush>
        {!connections.data ? (
          <Skeleton />
        ) : connections.data.items.length === 0 ? (
          <Empty icon="connections" title="No connections yet">
            Name the accounts that actions use under <code>connections:</code> in{" "}
            <code>hub.yaml</code>, such as <code>{"mail: {email: {host: smtp.example.com}}"}</code>.
            Secrets stand there as <code>$&#123;&#123; env.NAME &#125;&#125;</code> and are never
            shown.
          </Empty>
        ) : (
          <ul className="lines">
            {connections.data.items.map((connection) => (
              <li key={connection.name}>
                <ConnectionLine connection={connection} />
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </Page>
  );
}

function ConnectionLine({ connection }: { connection: Connection }) {
  const [told, setTold] = useState<ConnectionTest | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const { use } = connection;
  const may = useMay();
  async function test() {
    setBusy(true);
    try {
      setTold(await hub.testConnection(connection.name));
      setProblem(null);
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <section className="connection" aria-label={connection.name}>
      <span className="card-sign">
        <Icon name={iconOf(`${connection.connector}.`)} />
      </span>
      <div className="grow">
        <h2 className="row">
          {connection.name} <span className="badge">{connection.connector}</span>
        </h2>
        <p className="mono soft break">{connection.address ?? "no address of its own"}</p>
        {connection.problem && <p className="small tone-bad break">{connection.problem}</p>}
        {use.failure && (
          <p className="small tone-bad break">
            failed <Time at={use.failed_at} />: {use.failure}
          </p>
        )}
        {problem && <p className="small tone-bad break">{problem.message}</p>}
      </div>
      <p className="soft small used">
        {use.at ? (
          <>
            {use.action} <Time at={use.at} />
          </>
        ) : (
          "not used since the hub began"
        )}
      </p>
      <div className="tested" role="status">
        {told && (
          <>
            <Status
              status={told.ok === null ? "untested" : told.ok ? "succeeded" : "failed"}
              note={told.ok ? `in ${told.milliseconds} ms` : undefined}
            />
            <p className="small soft break">{told.detail}</p>
          </>
        )}
      </div>
      {may("connection.test") && (
        <button
          type="button"
          className="button small"
          disabled={isBusy}
          aria-label={`Test ${connection.name}`}
          onClick={test}
        >
          {isBusy ? "Asking…" : "Test"}
        </button>
      )}
    </section>
  );
}
