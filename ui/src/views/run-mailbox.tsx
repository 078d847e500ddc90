/** What became of each event that reached a run. */

import { eventAddress } from "../address";
import type { Run } from "../api/types";
import { Link } from "../parts/link";
import { Panel } from "../parts/parts";
import { Status } from "../parts/status";
import { Time } from "../parts/time";

export function Mailbox({ run }: { run: Run }) {
  const { stored = [], handled = [] } = run.mailbox ?? {};
  if (!run.mailbox) return null;
  return (
    <Panel flush title="Mailbox" note={stored.length ? `${stored.length} not yet used` : undefined}>
      {handled.length === 0 && stored.length === 0 ? (
        <p className="soft pad">No event has reached it yet.</p>
      ) : (
        <ul className="lines">
          {stored.map(({ event, subscriptions }) => (
            <li key={event.id}>
              <Link className="line in-mailbox" href={eventAddress(event.id)}>
                <span className="grow">
                  <strong className="break">{event.type}</strong>
                  <span className="faint small break">kept for {subscriptions.join(", ")}</span>
                </span>
                <Status status="buffered" />
              </Link>
            </li>
          ))}
          {handled
            .filter(
              (one) =>
                !stored.some(({ event }) => event.id === one.id && one.outcome === "buffered"),
            )
            .toReversed()
            .map((one, index) => (
              <li key={`${one.id} ${index}`}>
                <Link className="line in-mailbox" href={eventAddress(one.id)}>
                  <span className="grow">
                    <strong className="break">{one.type}</strong>
                    <span className="faint small break">
                      {one.subscription ? `${one.subscription}, ` : ""}
                      <Time at={one.at} />
                    </span>
                  </span>
                  <Status status={one.outcome} />
                </Link>
              </li>
            ))}
        </ul>
      )}
    </Panel>
  );
}
