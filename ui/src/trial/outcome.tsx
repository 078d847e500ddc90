/** What a trial has shown: whether it went as expected, and if not why; what was called. */

import type { SimulatedCall, Trial } from "../api/types";
import { Icon } from "../parts/icons";
import { JsonView } from "../parts/parts";
import { Status, StatusSign } from "../parts/status";
import { span } from "../parts/time";
import { definedPath } from "../tree/outline";

/** How long after the beginning of a trial. */
export function afterStart(trial: Trial, at: string): string {
  const since = Date.parse(at) - Date.parse(trial.began ?? at);
  return since <= 0 ? "at once" : `+${span(since)}`;
}

export function Outcome({
  trial,
  hasExpectations,
  selected,
  at,
  onSelect,
}: {
  trial: Trial;
  hasExpectations: boolean;
  selected: string | null;
  /** The moment that is looked at, by the trial's clock; null for its end. */
  at: number | null;
  onSelect: (path: string) => void;
}) {
  const [run] = trial.runs;
  if (trial.problems.length > 0) {
    return (
      <div className="note bad" role="alert">
        <Icon name="alert" />
        <ul className="stack">
          {trial.problems.map((one, index) => (
            <li key={index} className="break">
              {one.file === "scenario" ? "scenario" : "tree"}
              {one.line ? `, line ${one.line}` : ""}: {one.message}
              {one.suggestion && <span className="small"> {one.suggestion}</span>}
            </li>
          ))}
        </ul>
      </div>
    );
  }
  const calls = trial.calls.filter((call) => at === null || Date.parse(call.at) <= at);
  return (
    <div className="stack" role="status">
      <div className="row">
        {run && (
          <Status
            status={run.status === "running" && run.waiting_for.length > 0 ? "waiting" : run.status}
          />
        )}
        {run && <span className="soft small">{how(trial)}</span>}
      </div>
      {run?.error && (
        <div className="note bad">
          <Icon name="alert" />
          <div className="break">
            <strong>{run.error.code}</strong> {run.error.message}{" "}
            {run.error.path && (
              <button
                type="button"
                className="plain"
                onClick={() => onSelect(definedPath(run.error?.path ?? ""))}
              >
                Show where
              </button>
            )}
          </div>
        </div>
      )}
      {hasExpectations && trial.passed && (
        <div className="note good">
          <Icon name="check" /> As the scenario expects.
        </div>
      )}
      {trial.differences.length > 0 && (
        <div className="note bad">
          <Icon name="cross" />
          <ul className="stack">
            {trial.differences.map((one, index) => (
              <li key={index} className="break">
                <strong>{one.what}</strong>
                <br />
                expected {one.expected}
                <br />
                but got {one.got}
              </li>
            ))}
          </ul>
        </div>
      )}
      <h3>What it called{at !== null && " until then"}</h3>
      {calls.length === 0 ? (
        <p className="soft small">Nothing.</p>
      ) : (
        <ol className="calls">
          {calls.map((call) => (
            <Called
              key={call.number}
              call={call}
              after={afterStart(trial, call.at)}
              isChosen={definedPath(call.path) === selected}
              onSelect={onSelect}
            />
          ))}
        </ol>
      )}
      <h3>What came</h3>
      <ol className="calls">
        {trial.events.map((one, index) => (
          <li key={index} className="row">
            <span className="when">{afterStart(trial, one.at)}</span>
            <span className="grow break">{one.event.type}</span>
            <Status status={one.deliveries[0]?.outcome ?? one.status} />
            {one.deliveries[0]?.reason && (
              <span className="soft small break">{one.deliveries[0].reason}</span>
            )}
          </li>
        ))}
        {trial.decisions.map((one, index) => (
          <li key={`decision ${index}`} className="row">
            <span className="when">{afterStart(trial, one.at)}</span>
            <span className="grow break">
              {one.who} {one.decision === "approve" ? "approves" : "rejects"}
            </span>
            <span className="soft small break">{one.message ?? one.outcome}</span>
          </li>
        ))}
      </ol>
      {run && run.result !== null && run.result !== undefined && (
        <>
          <h3>Result</h3>
          <JsonView value={run.result} label="The result of the trial" />
        </>
      )}
    </div>
  );
}

function how(trial: Trial): string {
  const [run] = trial.runs;
  if (!run) return "";
  if (run.started_at && run.ended_at) {
    const lasted = Date.parse(run.ended_at) - Date.parse(run.started_at);
    return `after ${lasted ? span(lasted) : "no time"}, lived at once`;
  }
  return `for ${run.waiting_for.join(", ")}; nothing more comes in this scenario`;
}

function Called({
  call,
  after,
  isChosen,
  onSelect,
}: {
  call: SimulatedCall;
  after: string;
  isChosen: boolean;
  onSelect: (path: string) => void;
}) {
  return (
    <li className={isChosen ? "chosen" : ""}>
      <details>
        <summary>
          <span className="when">{after}</span>
          <StatusSign status={call.outcome} size={14} />
          <span className="grow break">
            {call.action}
            <span className="faint"> {given(call)}</span>
            {call.attempt > 1 && <span className="soft"> try {call.attempt}</span>}
            {call.code && <span className="tone-bad"> {call.code}</span>}
            <span className="visually-hidden"> {call.outcome}</span>
          </span>
        </summary>
        <button
          type="button"
          className="button small"
          onClick={() => onSelect(definedPath(call.path))}
        >
          Show where
        </button>
        <JsonView value={call.arguments} label={`What ${call.action} was given`} />
        {call.message && <p className="soft small break">{call.message}</p>}
      </details>
    </li>
  );
}

/** What it was given, in a few words. */
function given(call: SimulatedCall): string {
  const told = Object.values(call.arguments).filter((value) => typeof value === "string");
  const text = told.slice(0, 2).join(" · ");
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}
