/** When each node was at work: bars on the run's own length of time. */

import type { NodeState, Run } from "../api/types";
import { StatusSign, toneOf, wordOf } from "../parts/status";
import { brief, exact, span, useNow } from "../parts/time";
import { definedPath } from "../tree/outline";

export function Timeline({
  run,
  clock,
  selected,
  onSelect,
}: {
  run: Run;
  clock: number | undefined;
  selected: string | null;
  onSelect: (path: string) => void;
}) {
  const now = useNow();
  const begun = Object.entries(run.nodes).filter(
    (entry): entry is [string, NodeState & { started_at: string }] => entry[1].started_at !== null,
  );
  if (begun.length === 0) return <p className="soft pad">Nothing of it has begun.</p>;
  const from = Math.min(...begun.map(([, node]) => Date.parse(node.started_at)));
  const ends = begun.map(([, node]) => (node.ended_at ? Date.parse(node.ended_at) : 0));
  const to = Math.max(run.ended_at ? 0 : (clock ?? now), ...ends, from + 1);
  const length = to - from;
  return (
    <div className="timeline">
      <div className="timeline-axis" aria-hidden="true">
        <span>{brief(from)}</span>
        <span className="faint">{span(length)}</span>
        <span>{run.ended_at || clock ? brief(to) : "now"}</span>
      </div>
      <ol>
        {begun.map(([path, node]) => {
          const start = Date.parse(node.started_at);
          const end = node.ended_at ? Date.parse(node.ended_at) : to;
          const left = ((start - from) / length) * 100;
          const width = ((end - start) / length) * 100;
          const defined = definedPath(path);
          return (
            <li key={path}>
              <button
                type="button"
                className="timeline-row"
                aria-pressed={defined === selected}
                onClick={() => onSelect(defined)}
                title={`${exact(start)}, ${span(end - start)}`}
              >
                <span className="timeline-name">
                  <StatusSign status={node.status} size={14} />
                  <span className="clip">{node.id ?? node.type}</span>
                  <span className="visually-hidden">{wordOf(node.status)}</span>
                </span>
                <span className="timeline-lane">
                  <span
                    className={`timeline-bar tone-${toneOf(node.status)} ${node.ended_at ? "" : "open"}`}
                    style={{ left: `min(${left}%, 100% - 4px)`, width: `max(${width}%, 4px)` }}
                  />
                </span>
                <span className="timeline-length">
                  {node.ended_at ? span(end - start) : wordOf(node.status)}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
