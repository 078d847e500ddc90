/** What is wrong with a tree: told in the bar, at its nodes, and when it cannot be saved. */

import type { Problem } from "../api/client";
import type { Diagnostic } from "../api/types";
import { Icon } from "../parts/icons";
import type { Mark } from "../tree/mark";
import type { OutlineNode } from "../tree/outline";

/** The node that a place in the document is part of. */
export function ownerOf(path: string, nodes: Map<string, OutlineNode>): string | null {
  let end = path.length;
  while (end > 0) {
    if (nodes.has(path.slice(0, end))) return path.slice(0, end);
    end = Math.max(path.lastIndexOf(".", end - 1), path.lastIndexOf("[", end - 1));
  }
  return null;
}

/** The first fault of each node. */
export function faultsOf(
  diagnostics: Diagnostic[],
  nodes: Map<string, OutlineNode>,
): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const one of diagnostics) {
    const path = one.path ? ownerOf(one.path, nodes) : null;
    if (!path) continue;
    const severity = one.severity === "warning" ? ("warning" as const) : ("error" as const);
    if (marks.get(path)?.fault?.severity === "error") continue;
    marks.set(path, { fault: { severity, message: one.message } });
  }
  return marks;
}

export function Faults({
  diagnostics,
  onShow,
}: {
  diagnostics: Diagnostic[];
  onShow: (one: Diagnostic) => void;
}) {
  const [first] = diagnostics;
  if (!first) {
    return (
      <span className="row small tone-good">
        <Icon name="check" size={14} /> No problems
      </span>
    );
  }
  const errors = diagnostics.filter((one) => one.severity !== "warning").length;
  const warnings = diagnostics.length - errors;
  const counts = [
    errors ? `${errors} ${errors === 1 ? "error" : "errors"}` : "",
    warnings ? `${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "",
  ].filter(Boolean);
  return (
    <details className="faults">
      <summary className={errors ? "tone-bad" : "tone-wait"}>
        <Icon name="alert" size={14} /> {counts.join(", ")}
      </summary>
      <ul>
        {diagnostics.map((one, index) => (
          <li key={`${one.path} ${one.message} ${index}`}>
            <button type="button" onClick={() => onShow(one)}>
              <span className={one.severity === "warning" ? "tone-wait" : "tone-bad"}>
                line {one.line ?? "?"}
              </span>
              <span>
                {one.message}
                {one.suggestion && <span className="soft"> {one.suggestion}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

export function SaveProblem({
  problem,
  onTheirs,
  onOurs,
}: {
  problem: Problem;
  onTheirs: () => void;
  onOurs: () => void;
}) {
  const isConflict = problem.status === 409 || problem.status === 412;
  return (
    <div className="note bad" role="alert">
      <Icon name="alert" />
      <div className="grow">
        {isConflict ? "Somebody else has changed this tree since it was opened. " : ""}
        {problem.message}
        {problem.errors.slice(0, 3).map((one) => (
          <div key={`${one.line} ${one.message}`}>
            line {one.line ?? "?"}: {one.message}
          </div>
        ))}
      </div>
      {isConflict && (
        <>
          <button type="button" className="plain" onClick={onTheirs}>
            Take theirs
          </button>
          <button type="button" className="plain" onClick={onOurs}>
            Keep mine
          </button>
        </>
      )}
    </div>
  );
}
