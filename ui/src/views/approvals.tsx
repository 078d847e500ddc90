/** What waits for people to decide. */

import { useEffect, useState } from "react";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import { Link } from "../parts/link";
import { Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Countdown, Time } from "../parts/time";
import { usePerson } from "../person";

export function ApprovalsView() {
  const [person, setPerson] = usePerson();
  const [asked, setAsked] = useState(person);
  useEffect(() => {
    const timer = window.setTimeout(() => setAsked(person.trim()), 250);
    return () => window.clearTimeout(timer);
  }, [person]);
  const approvals = useResource(`approvals ${asked}`, (signal) => hub.approvals(asked, signal), {
    every: 2000,
    keep: true,
  });
  return (
    <Page title="Approvals" actions={<span className="live">live</span>}>
      <search className="filters">
        <input
          type="search"
          aria-label="Your address"
          placeholder="Your address: only what waits for you"
          className="wide-input"
          value={person}
          onChange={(event) => setPerson(event.target.value)}
        />
      </search>
      {approvals.problem && approvals.problem.status !== 404 && (
        <ProblemNote
          problem={approvals.problem}
          retry={approvals.refresh}
          stale={!!approvals.data}
        />
      )}
      <Panel flush>
        {approvals.problem?.status === 404 ? (
          <Empty icon="approvals" title="This hub keeps no approvals" />
        ) : !approvals.data ? (
          <Skeleton />
        ) : approvals.data.items.length === 0 ? (
          <Empty
            icon="approvals"
            title={asked ? "Nothing waits for you" : "Nothing waits for anybody"}
          >
            An approval appears here when a run comes to an <code>approval</code> node, and stays
            until enough have decided.
          </Empty>
        ) : (
          <ul className="lines">
            {approvals.data.items.map((one) => (
              <li key={one.id}>
                <Link className="line inbox" href={`/approvals/${one.id}`}>
                  <span className="grow">
                    <strong className="break">{one.title}</strong>
                    <span className="faint small inbox-about break">
                      {one.run_id} · waits on {one.waiting_on.join(", ") || "nobody"}
                    </span>
                  </span>
                  <span className="badge">
                    {one.approvals} of {one.quorum}
                  </span>
                  <span className="faint small">
                    {one.deadline ? (
                      <span className="tone-wait">
                        <Countdown until={one.deadline} />
                      </span>
                    ) : (
                      <Time at={one.opened_at} />
                    )}
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </Page>
  );
}
