/** Schedules: when they are due next, and what can be done to them. */

import { type FormEvent, useState } from "react";
import { treeAddress } from "../address";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Schedule } from "../api/types";
import { Link } from "../parts/link";
import { Dialog, Field, Panel, ProblemNote } from "../parts/parts";
import { brief, Time } from "../parts/time";
import { useMay } from "../session";

export function Schedules() {
  const schedules = useResource("schedules", hub.schedules, { every: 5000 });
  const [filled, setFilled] = useState<Schedule | null>(null);
  const may = useMay();
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
      {filled && (
        <Backfill
          schedule={filled}
          onClose={() => setFilled(null)}
          onDone={() => schedules.refresh()}
        />
      )}
      <div className="table-wrap">
        <table>
          <thead>
            <tr>
              <th>Schedule</th>
              <th className="hide-narrow">Times</th>
              <th>Next</th>
              <th className="hide-narrow">After that</th>
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
                <td className="hide-narrow soft small">
                  {schedule.paused ? "" : schedule.next.slice(1, 3).map(brief).join("; ")}
                </td>
                <td>
                  <div className="row push-row">
                    {may("schedule.trigger") && (
                      <button
                        type="button"
                        className="button small"
                        onClick={() => act(schedule, "trigger")}
                      >
                        Run now
                      </button>
                    )}
                    {may(schedule.paused ? "schedule.resume" : "schedule.pause") && (
                      <button
                        type="button"
                        className="button small"
                        onClick={() => act(schedule, schedule.paused ? "resume" : "pause")}
                      >
                        {schedule.paused ? "Resume" : "Pause"}
                      </button>
                    )}
                    {may("schedule.backfill") && (
                      <button
                        type="button"
                        className="button small"
                        onClick={() => setFilled(schedule)}
                      >
                        Backfill
                      </button>
                    )}
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

/** The runs of a span that were missed, or are wanted once more. */
function Backfill({
  schedule,
  onClose,
  onDone,
}: {
  schedule: Schedule;
  onClose: () => void;
  onDone: () => void;
}) {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  async function fill(event: FormEvent) {
    event.preventDefault();
    try {
      await hub.backfill(schedule.id, new Date(from).toISOString(), new Date(to).toISOString());
      onDone();
      onClose();
    } catch (error) {
      setProblem(
        error instanceof Problem ? error : new Problem(0, "time", "These are no two times."),
      );
    }
  }
  return (
    <Dialog title={`Backfill ${schedule.tree}`} onClose={onClose}>
      <form onSubmit={fill}>
        <p className="soft">
          Starts a run for each time at which the schedule was due in the span, one after the other.
        </p>
        <Field label="From" hint="In your own zone.">
          <input
            type="datetime-local"
            required
            value={from}
            onChange={(event) => setFrom(event.target.value)}
          />
        </Field>
        <Field label="To">
          <input
            type="datetime-local"
            required
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        </Field>
        {problem && <ProblemNote problem={problem} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" className="button primary">
            Start them
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
