/** One approval: what is asked, who has said what, and one's own answer. */

import { type FormEvent, useRef, useState } from "react";
import { runAddress } from "../address";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Answer, Approval, FormField, HandedOver, JsonObject, Session } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Dialog, Empty, Facts, Field, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status } from "../parts/status";
import { Countdown, Time } from "../parts/time";
import { usePerson } from "../person";
import { lacking, may, useSession } from "../session";

const STATUS: Record<string, string> = {
  pending: "waiting",
  approved: "approved",
  rejected: "rejected",
  timed_out: "timed_out",
};

export function ApprovalView({ id }: { id: string }) {
  const approval = useResource(id, (signal) => hub.approval(id, signal), { every: 1500 });
  const session = useSession();
  const { data } = approval;
  if (!data) {
    return (
      <Page title="Approval" above={<Link href="/approvals">Approvals</Link>}>
        <Panel>
          {approval.problem?.status === 404 ? (
            <Empty icon="approvals" title="There is no such approval">
              Its run may have ended. <Link href="/approvals">See what is open</Link>
            </Empty>
          ) : approval.problem ? (
            <ProblemNote problem={approval.problem} retry={approval.refresh} />
          ) : (
            <Skeleton />
          )}
        </Panel>
      </Page>
    );
  }
  return (
    <Page title={data.title} above={<Link href="/approvals">Approvals</Link>}>
      {approval.problem && <ProblemNote problem={approval.problem} stale />}
      <Panel>
        <Facts
          facts={[
            ["Status", <Status key="s" status={STATUS[data.decision] ?? data.decision} />],
            ["Approved by", `${data.approvals} of ${data.quorum} needed`],
            ["Asked", <Time key="o" at={data.opened_at} both />],
            [
              "Until",
              data.decision === "pending" && data.deadline && (
                <Countdown key="d" until={data.deadline} />
              ),
            ],
            [
              "Run",
              may(session, "run.see") ? (
                <Link key="r" href={runAddress(data.run_id)}>
                  {data.run_id}
                </Link>
              ) : (
                data.run_id
              ),
            ],
            ["One no is enough", data.veto && "yes"],
          ]}
        />
      </Panel>
      <div className={data.decision === "pending" ? "halves uneven asking" : "halves uneven"}>
        <Panel title="What is asked" className="asked">
          {data.details ? (
            <p className="details break">{data.details}</p>
          ) : (
            <p className="soft">
              There are no details{may(session, "run.see") ? "; the run tells more." : "."}
            </p>
          )}
        </Panel>
        {data.decision === "pending" && (
          <Decide id={id} approval={data} onDone={approval.refresh} />
        )}
        <Decisions approval={data} />
      </div>
    </Page>
  );
}

function Decisions({ approval }: { approval: Approval }) {
  return (
    <Panel flush title="Who has said what" className="said">
      <ul className="lines">
        {(approval.delegations ?? []).map((one) => (
          <li key={`${one.who} ${one.to}`} className="line decision">
            <Icon name="forward" />
            <span className="grow break">
              <strong>{one.who}</strong> passed it on to <strong>{one.to}</strong>{" "}
              <span className="faint">by {one.how}</span>
              {one.comment && <span className="comment">{one.comment}</span>}
            </span>
            <span className="faint small">
              <Time at={one.at} />
            </span>
          </li>
        ))}
        {approval.by.map((one) => (
          <li key={one.who} className="line decision">
            <Status status={one.decision === "approve" ? "approved" : "rejected"} />
            <span className="grow break">
              <strong>{one.who}</strong> <span className="faint">by {one.how}</span>
              {one.comment && <span className="comment">{one.comment}</span>}
            </span>
            <span className="faint small">
              <Time at={one.at} />
            </span>
          </li>
        ))}
        {approval.waiting_on.map((who) => (
          <li key={who} className="line decision">
            <Status status="pending" />
            <span className="grow break">{who}</span>
          </li>
        ))}
        {approval.by.length + approval.waiting_on.length === 0 && (
          <li className="line soft">Nobody.</li>
        )}
      </ul>
    </Panel>
  );
}

function Decide({ id, approval, onDone }: { id: string; approval: Approval; onDone: () => void }) {
  const session = useSession();
  const [person, setPerson] = usePerson();
  const isKnown = session?.how === "session";
  const [comment, setComment] = useState("");
  const [form, setForm] = useState<JsonObject>({});
  const [told, setTold] = useState<Answer | null>(null);
  const [passedOn, setPassedOn] = useState<HandedOver | null>(null);
  const [isPassing, setPassing] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  // One click is one decision, also when its answer was lost and it is sent again.
  const click = useRef(crypto.randomUUID());
  const hindrance = hindranceOf(approval, session);
  async function decide(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const { submitter } = event.nativeEvent as SubmitEvent;
    const decision =
      (submitter as HTMLButtonElement | null)?.value === "reject" ? "reject" : "approve";
    setBusy(true);
    try {
      const given = {
        id: click.current,
        decision,
        as: person.trim(),
        comment: comment.trim() || null,
        form,
      } as const;
      setTold(await hub.decide(id, given));
      setProblem(null);
      click.current = crypto.randomUUID();
    } catch (error) {
      setTold(null);
      if (error instanceof Problem) setProblem(error);
      if (!(error instanceof Problem) || error.status !== 0) click.current = crypto.randomUUID();
    } finally {
      setBusy(false);
      onDone();
    }
  }
  return (
    <Panel title="Your decision" className="decide">
      <form className="stack" onSubmit={decide}>
        {isKnown ? (
          <p className="soft">
            Deciding as <strong className="break">{person}</strong>
          </p>
        ) : (
          <>
            <Field label="Deciding as">
              <input
                type="text"
                required
                list="approvers"
                placeholder="ada@example.com"
                value={person}
                onChange={(event) => setPerson(event.target.value)}
              />
            </Field>
            <datalist id="approvers">
              {approval.waiting_on.map((who) => (
                <option key={who} value={who} />
              ))}
            </datalist>
          </>
        )}
        {Object.entries(approval.form).map(([name, field]) => (
          <Asked
            key={name}
            name={name}
            field={field}
            value={form[name]}
            onValue={(value) => setForm((before) => ({ ...before, [name]: value }))}
          />
        ))}
        <Field label="Comment">
          <textarea rows={3} value={comment} onChange={(event) => setComment(event.target.value)} />
        </Field>
        {told && (
          <div className="note good" role="status">
            <Icon name="check" />
            <div>
              Recorded: {told.who} {told.decision === "approve" ? "approves" : "rejects"}. It is{" "}
              {told.outcome}, {told.approvals} of {told.quorum}.
            </div>
          </div>
        )}
        {passedOn && (
          <div className="note good" role="status">
            <Icon name="check" />
            <div>
              Recorded: {passedOn.to} decides in the place of {passedOn.who}.
            </div>
          </div>
        )}
        {problem && <ProblemNote problem={problem} />}
        {hindrance && <p className="soft">{hindrance}</p>}
        <div className="decide-buttons">
          <button
            type="submit"
            name="decision"
            value="approve"
            className="button primary"
            disabled={isBusy || hindrance !== null}
            title={hindrance ?? undefined}
          >
            <Icon name="check" /> Approve
          </button>
          <button
            type="submit"
            name="decision"
            value="reject"
            className="button danger"
            disabled={isBusy || hindrance !== null}
            title={hindrance ?? undefined}
          >
            <Icon name="cross" /> Reject
          </button>
        </div>
        <button
          type="button"
          className="button"
          disabled={isBusy || hindrance !== null}
          title={hindrance ?? undefined}
          onClick={() => setPassing(true)}
        >
          <Icon name="forward" /> Pass it on
        </button>
      </form>
      {isPassing && (
        <PassOn
          id={id}
          person={person.trim()}
          isKnown={isKnown}
          onClose={() => setPassing(false)}
          onDone={(done) => {
            setPassing(false);
            setPassedOn(done);
            setTold(null);
            setProblem(null);
            onDone();
          }}
        />
      )}
    </Panel>
  );
}

/** Why the one who is signed in cannot decide; null where they can, or decide for others. */
function hindranceOf(approval: Approval, session: Session | undefined): string | null {
  if (!may(session, "approval.approve")) {
    return `You may look at it, not decide. ${lacking(session, "approval.approve")}`;
  }
  if (session?.how !== "session") return null;
  const own = session.name?.toLowerCase();
  if (approval.waiting_on.includes(own ?? "")) return null;
  return approval.by.some((one) => one.who === own)
    ? "You have said what you think; others are still asked."
    : "You are not asked, so your word would not count.";
}

/** Somebody else decides instead; it stays one voice. */
function PassOn({
  id,
  person,
  isKnown,
  onClose,
  onDone,
}: {
  id: string;
  person: string;
  isKnown: boolean;
  onClose: () => void;
  onDone: (done: HandedOver) => void;
}) {
  const [from, setFrom] = useState(person);
  const [to, setTo] = useState("");
  const [comment, setComment] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const click = useRef(crypto.randomUUID());
  async function pass(event: FormEvent) {
    event.preventDefault();
    try {
      const given = { id: click.current, to: to.trim(), as: from.trim() };
      onDone(await hub.delegate(id, { ...given, comment: comment.trim() || null }));
    } catch (error) {
      if (!(error instanceof Problem)) return;
      setProblem(error);
      if (error.status !== 0) click.current = crypto.randomUUID();
    }
  }
  return (
    <Dialog title="Pass the decision on" onClose={onClose}>
      <form onSubmit={pass}>
        {!isKnown && (
          <Field label="Whose decision">
            <input
              type="text"
              required
              value={from}
              onChange={(event) => setFrom(event.target.value)}
            />
          </Field>
        )}
        <Field label="Who decides instead" hint="They are told by mail, as you were.">
          <input
            type="text"
            required
            placeholder="eve@example.com"
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        </Field>
        <Field label="Why">
          <input type="text" value={comment} onChange={(event) => setComment(event.target.value)} />
        </Field>
        {problem && <ProblemNote problem={problem} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Keep it
          </button>
          <button type="submit" className="button primary">
            <Icon name="forward" /> Pass it on
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function Asked({
  name,
  field,
  value,
  onValue,
}: {
  name: string;
  field: Partial<FormField>;
  value: JsonObject[string] | undefined;
  onValue: (value: JsonObject[string]) => void;
}) {
  const label = `${field.label ?? name}${field.required ? " *" : ""}`;
  if (field.type === "boolean") {
    return (
      <label className="tick">
        <input
          type="checkbox"
          checked={value === true}
          onChange={(event) => onValue(event.target.checked)}
        />
        {label}
      </label>
    );
  }
  const text = value === undefined || value === null ? "" : String(value);
  return (
    <Field label={label}>
      {field.type === "choice" ? (
        <select value={text} onChange={(event) => onValue(event.target.value)}>
          <option value="">choose</option>
          {(field.choices ?? []).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input
          type={field.type === "number" ? "number" : "text"}
          step="any"
          value={text}
          onChange={(event) =>
            onValue(field.type === "number" ? event.target.valueAsNumber : event.target.value)
          }
        />
      )}
    </Field>
  );
}
