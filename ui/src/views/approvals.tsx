/** What waits for people to decide, and what they have decided. */

import { useEffect, useState } from "react";
import { go, withQuery } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { ApprovalItem } from "../api/types";
import { Link } from "../parts/link";
import { Empty, Page, Panel, ProblemNote, Segments, Skeleton } from "../parts/parts";
import { Status } from "../parts/status";
import { Countdown, exact, Time } from "../parts/time";
import { usePerson } from "../person";
import { may, useSession } from "../session";

export function ApprovalsView({ query }: { query: URLSearchParams }) {
  const isDecided = query.get("status") === "decided";
  const status = isDecided ? "decided" : "pending";
  const session = useSession();
  const isKnown = session?.how === "session";
  const [person, setPerson] = usePerson();
  const isAll = query.get("of") === "all" || (isKnown && !may(session, "approval.approve"));
  const [asked, setAsked] = useState(isKnown && isAll ? "" : person);
  useEffect(() => {
    const wanted = isKnown && isAll ? "" : person.trim();
    const timer = window.setTimeout(() => setAsked(wanted), isKnown ? 0 : 250);
    return () => window.clearTimeout(timer);
  }, [person, isKnown, isAll]);
  const approvals = useResource(
    `approvals ${status} ${asked}`,
    (signal) => hub.approvals(asked, status, signal),
    { every: isDecided ? 10_000 : 2000 },
  );
  return (
    <Page title="Approvals" actions={<span className="live">live</span>}>
      <search className="filters">
        <Segments
          label="Which of them"
          value={status}
          onChange={(next) => go(withQuery({ status: next === "decided" ? next : null }))}
          options={[
            ["pending", "Waiting"],
            ["decided", "Decided"],
          ]}
        />
        {isKnown ? (
          may(session, "approval.approve") && (
            <Segments
              label="Whose"
              value={isAll ? "all" : "mine"}
              onChange={(next) => go(withQuery({ of: next === "all" ? next : null }))}
              options={[
                ["mine", "Yours"],
                ["all", "Everybody's"],
              ]}
            />
          )
        ) : (
          <input
            type="search"
            aria-label="Your address"
            placeholder={
              isDecided
                ? "Your address: only what you decided"
                : "Your address: only what waits for you"
            }
            className="wide-input"
            value={person}
            onChange={(event) => setPerson(event.target.value)}
          />
        )}
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
          isDecided ? (
            <Empty
              icon="approvals"
              title={asked ? "You have decided nothing yet" : "Nothing has been decided yet"}
            >
              Who decided what stands here as long as the run that asked is known.
            </Empty>
          ) : (
            <Empty
              icon="approvals"
              title={asked ? "Nothing waits for you" : "Nothing waits for anybody"}
            >
              An approval appears here when a run comes to an <code>approval</code> node, and stays
              until enough have decided.
            </Empty>
          )
        ) : (
          <ul className="lines">
            {approvals.data.items.map((one) => (
              <li key={one.id}>
                {isDecided ? <DecidedLine one={one} /> : <WaitingLine one={one} />}
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </Page>
  );
}

function WaitingLine({ one }: { one: ApprovalItem }) {
  return (
    <Link className="line inbox" href={`/approvals/${one.id}`}>
      <span className="grow">
        <strong className="break">{one.title}</strong>
        <span className="faint small inbox-about break">
          {one.run_id} · waits on {one.waiting_on.join(", ") || "nobody"}
        </span>
      </span>
      {one.overdue && (
        <span
          className="badge tone-bad"
          title={
            one.due_at
              ? `Its first reminder or escalation was due ${exact(one.due_at)}`
              : "It was asked more than a day ago"
          }
        >
          overdue
        </span>
      )}
      <span className="badge">
        {one.approvals} of {one.quorum}
      </span>
      <span className="faint small">
        {one.deadline ? (
          <span className="tone-wait">
            <span className="hide-narrow">ends in </span>
            <Countdown until={one.deadline} />
          </span>
        ) : (
          <Time at={one.opened_at} />
        )}
      </span>
    </Link>
  );
}

function DecidedLine({ one }: { one: ApprovalItem }) {
  const said = (one.by ?? []).map(
    (by) => `${by.who} ${by.decision === "approve" ? "approved" : "rejected"} by ${by.how}`,
  );
  const passed = (one.delegations ?? []).map((by) => `${by.who} passed it on to ${by.to}`);
  return (
    <Link className="line inbox" href={`/approvals/${one.id}`}>
      <span className="grow">
        <strong className="break">{one.title}</strong>
        <span className="faint small inbox-about break">
          {[...passed, ...said].join(", ") || "nobody has decided"} · {one.run_id}
        </span>
      </span>
      <Status status={one.timed_out ? "timed_out" : one.decision} />
      <span className="faint small">
        <Time at={one.ended_at} />
      </span>
    </Link>
  );
}
