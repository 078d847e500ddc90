/** One node as a card. The smaller it is drawn, the less it tells. */

import { memo } from "react";
import { Icon } from "../parts/icons";
import { StatusSign, toneOf, wordOf } from "../parts/status";
import { Countdown } from "../parts/time";
import { iconOf } from "./kinds";
import { isSameMark, type Mark } from "./mark";
import type { OutlineNode } from "./outline";
import type { Detail } from "./viewport";

export interface CardProps {
  node: OutlineNode;
  mark: Mark;
  x: number;
  y: number;
  detail: Detail;
  isRoot: boolean;
  isSelected: boolean;
  /** Where Tab leads to; from there the arrow keys go on. */
  isEntry: boolean;
  isDropTarget: boolean;
  isDraggable: boolean;
  isFound: boolean;
  /** The id of what says how one walks on. */
  help: string;
}

export const Card = memo(function Card(props: CardProps) {
  const { node, mark, x, y, detail, isRoot, isSelected } = props;
  return (
    <div
      className="node"
      data-path={node.path}
      style={{ transform: `translate(${x}px, ${y}px)` }}
      role="group"
      aria-roledescription="node"
      aria-label={described(node, mark)}
      aria-describedby={props.help}
      aria-current={isSelected ? "true" : undefined}
      tabIndex={props.isEntry ? 0 : -1}
    >
      <div
        className={[
          "card-node",
          `tells-${detail}`,
          mark.status ? `tone-${toneOf(mark.status)} is-${mark.status}` : `group-${node.group}`,
          isSelected ? "selected" : "",
          mark.fault ? `fault-${mark.fault.severity}` : "",
          props.isDropTarget ? "drop" : "",
          props.isFound ? "found" : "",
        ].join(" ")}
        draggable={props.isDraggable}
        title={mark.fault?.message ?? (detail === "all" ? undefined : described(node, mark))}
      >
        {detail === "all" && <Whole node={node} mark={mark} isRoot={isRoot} />}
        {detail === "name" && <span className="card-name clip">{node.label}</span>}
      </div>
    </div>
  );
}, isSame);

function Whole({ node, mark, isRoot }: { node: OutlineNode; mark: Mark; isRoot: boolean }) {
  return (
    <>
      {node.slot && <span className="slot">{node.slot}</span>}
      <span className="card-icon">
        <Icon name={isRoot ? "events" : iconOf(node.verb)} size={17} />
      </span>
      <span className="card-text">
        <span className="card-label clip">{node.label}</span>
        {mark.status ? (
          <span className="card-status">
            <StatusSign status={mark.status} size={13} />
            <span className="clip">
              {wordOf(mark.status)}
              {mark.note ? ` ${mark.note}` : ""}
            </span>
            {mark.until && (
              <span className="card-until">
                <Countdown until={mark.until} from={mark.now} />
              </span>
            )}
          </span>
        ) : (
          <span className="card-summary clip">{node.summary}</span>
        )}
      </span>
      {mark.fault && (
        <span className={`card-fault ${mark.fault.severity}`}>
          <Icon name="alert" size={14} />
        </span>
      )}
    </>
  );
}

/** A tree that is read anew has new nodes: those that look the same are not drawn again. */
function isSame(one: CardProps, other: CardProps): boolean {
  const [a, b] = [one.node, other.node];
  return (
    one.x === other.x &&
    one.y === other.y &&
    one.detail === other.detail &&
    one.isRoot === other.isRoot &&
    one.isSelected === other.isSelected &&
    one.isEntry === other.isEntry &&
    one.isDropTarget === other.isDropTarget &&
    one.isDraggable === other.isDraggable &&
    one.isFound === other.isFound &&
    isSameMark(one.mark, other.mark) &&
    (a === b ||
      (a.path === b.path &&
        a.verb === b.verb &&
        a.group === b.group &&
        a.label === b.label &&
        a.summary === b.summary &&
        a.slot === b.slot))
  );
}

function described(node: OutlineNode, mark: Mark): string {
  return [
    node.slot,
    node.label,
    node.summary,
    mark.status && wordOf(mark.status),
    mark.fault?.message,
  ]
    .filter(Boolean)
    .join(", ");
}
