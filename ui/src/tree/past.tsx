/** A run's past on its tree: how each node stood at a moment, and the way back and forth. */

import { useEffect, useState } from "react";
import type { NodeState, Run } from "../api/types";
import { Icon } from "../parts/icons";
import { brief, exact, span } from "../parts/time";
import type { Mark } from "./mark";
import { definedPath, type OutlineNode, walk } from "./outline";

/** The moments at which something began or ended in the run. */
export function momentsOf(run: Run): number[] {
  const times = Object.values(run.nodes).flatMap((node) => [node.started_at, node.ended_at]);
  const known = times.filter((time) => time !== null).map((time) => Date.parse(time));
  return [...new Set(known)].sort((a, b) => a - b);
}

/** How a node stood at a moment. */
function statusAt(node: NodeState, at: number | null): string {
  if (at === null) return node.status;
  if (!node.started_at || Date.parse(node.started_at) > at) return "pending";
  if (node.ended_at && Date.parse(node.ended_at) <= at) return node.status;
  return node.type === "wait_for" || node.type === "delay" || node.type === "approval"
    ? "waiting"
    : "running";
}

export function marksOf(
  run: Run,
  roots: OutlineNode[],
  at: number | null,
  clock: number | undefined,
): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const root of roots)
    for (const node of walk(root)) marks.set(node.path, { status: "pending" });
  const rounds = new Map<string, number>();
  for (const [path, node] of Object.entries(run.nodes)) {
    const defined = definedPath(path);
    const status = statusAt(node, at);
    if (status === "pending" && marks.get(defined)?.status !== "pending") continue;
    if (path !== defined) rounds.set(defined, (rounds.get(defined) ?? 0) + 1);
    const isOpen = status === "waiting" || status === "running";
    const round = rounds.get(defined);
    const notes = [
      node.attempt > 1 ? `try ${node.attempt}` : "",
      round && round > 1 ? `round ${round}` : "",
      !isOpen && node.started_at && node.ended_at && status !== "pending"
        ? tookNote(node.started_at, node.ended_at)
        : "",
    ].filter(Boolean);
    marks.set(defined, {
      status,
      until: isOpen ? node.deadline : null,
      now: at ?? clock,
      note: notes.length ? `· ${notes.join(" · ")}` : undefined,
    });
  }
  return marks;
}

function tookNote(from: string, to: string): string {
  const took = Date.parse(to) - Date.parse(from);
  return took < 1000 ? "" : span(took);
}

/** Back and forth between the moments at which something happened. */
export function Scrub({
  moments,
  moment,
  onMoment,
  end,
  isVirtual = false,
}: {
  moments: number[];
  moment: number | null;
  onMoment: (moment: number | null) => void;
  /** What the last moment is called. */
  end: string;
  /** Of no calendar: only how long after the beginning is said. */
  isVirtual?: boolean;
}) {
  const [isPlaying, setPlaying] = useState(false);
  const last = moments.length - 1;
  const value = moment ?? last;
  const shown = moments[value] ?? 0;
  const since = shown - (moments[0] ?? 0);
  const after = since > 0 ? `after ${span(since)}` : "at the beginning";
  useEffect(() => {
    if (!isPlaying) return;
    const timer = window.setTimeout(() => {
      if (value >= last) setPlaying(false);
      else onMoment(value + 1 >= last ? null : value + 1);
    }, 750);
    return () => window.clearTimeout(timer);
  }, [isPlaying, value, last, onMoment]);
  return (
    <>
      <button
        type="button"
        className="icon-button"
        aria-label={isPlaying ? "Stop" : "Play"}
        title={isPlaying ? "Stop" : "Play from moment to moment"}
        onClick={() => {
          if (!isPlaying && value >= last) onMoment(0);
          setPlaying(!isPlaying);
        }}
      >
        <Icon name={isPlaying ? "stop" : "play"} />
      </button>
      <input
        type="range"
        min={0}
        max={last}
        value={value}
        aria-label="Moment in the run's past"
        aria-valuetext={isVirtual ? after : exact(shown)}
        onChange={(event) => {
          const next = Number(event.target.value);
          setPlaying(false);
          onMoment(next === last ? null : next);
        }}
      />
      <span className="scrub-time">
        {isVirtual ? (
          after
        ) : moment === null ? (
          end
        ) : (
          <>
            {brief(shown)} <span className="faint">+{span(since)}</span>
          </>
        )}
      </span>
      {moment !== null && (
        <button type="button" className="button small" onClick={() => onMoment(null)}>
          {end === "now" ? "To now" : "To the end"}
        </button>
      )}
    </>
  );
}
