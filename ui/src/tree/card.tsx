/** One node as a card. The smaller it is drawn, the less it tells. */

import type { Node, NodeProps } from "@xyflow/react";
import { memo } from "react";
import { Icon } from "../parts/icons";
import { StatusSign, toneOf, wordOf } from "../parts/status";
import { Countdown } from "../parts/time";
import { type Detail, useDetail } from "./detail";
import { iconOf } from "./kinds";
import { CARD, type Placed } from "./layout";
import { isSameMark, type Mark } from "./mark";
import type { OutlineNode } from "./outline";

export interface CardData extends Record<string, unknown> {
  node: OutlineNode;
  mark: Mark;
  isRoot: boolean;
  isDropTarget: boolean;
  isDraggable: boolean;
  isFound: boolean;
}

export type CardNode = Node<CardData, "card">;

export interface Standing {
  isSelected: boolean;
  /** Where Tab leads to; from there the arrow keys go on. */
  isEntry: boolean;
  /** The id of what says how one walks on. */
  help: string;
}

/** Nothing is joined by hand, so there is nothing to be measured either. */
export const NO_HANDLES: never[] = [];

/** A card as a node of React Flow. What looks as before is what it was, and is not drawn again. */
export function cardOf(
  { node, x, y }: Placed,
  data: CardData,
  { isSelected, isEntry, help }: Standing,
  before: CardNode | undefined,
): CardNode {
  const isSame = before !== undefined && isSameData(before.data, data);
  if (
    isSame &&
    before.position.x === x &&
    before.position.y === y &&
    before.selected === isSelected &&
    before.dragging === (isSelected || isEntry)
  ) {
    return before;
  }
  return {
    id: node.path,
    type: "card",
    position: { x, y },
    ...CARD,
    measured: CARD,
    handles: NO_HANDLES,
    data: isSame ? before.data : data,
    className: "node",
    selected: isSelected,
    // What the keyboard starts from is there also when it is out of sight: as what is dragged is.
    dragging: isSelected || isEntry,
    ariaRole: "group",
    ariaLabel: described(node, data.mark),
    domAttributes: {
      "aria-current": isSelected ? "true" : undefined,
      "aria-describedby": help,
      tabIndex: isEntry ? 0 : -1,
    },
  };
}

export const Card = memo(
  function Card({ data, selected }: NodeProps<CardNode>) {
    const detail = useDetail();
    const { node, mark, isDraggable } = data;
    return (
      <div
        className={looksOf(data, selected, detail)}
        draggable={isDraggable}
        title={mark.fault?.message ?? (detail === "all" ? undefined : described(node, mark))}
      >
        {detail === "all" && <Whole node={node} mark={mark} isRoot={data.isRoot} />}
        {detail === "name" && <span className="card-name clip">{node.label}</span>}
      </div>
    );
  },
  (one, other) => one.data === other.data && one.selected === other.selected,
);

/** The classes of a card. `nopan`: where it can be taken along, it is that, not the ground, that moves. */
export function looksOf(data: CardData, isSelected: boolean, detail: Detail): string {
  const { node, mark } = data;
  return [
    "card-node",
    `tells-${detail}`,
    mark.status ? `tone-${toneOf(mark.status)} is-${mark.status}` : `group-${node.group}`,
    isSelected ? "selected" : "",
    mark.fault ? `fault-${mark.fault.severity}` : "",
    data.isDropTarget ? "drop" : "",
    data.isFound ? "found" : "",
    data.isDraggable ? "nopan" : "",
  ].join(" ");
}

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
function isSameData(one: CardData, other: CardData): boolean {
  const [a, b] = [one.node, other.node];
  return (
    one.isRoot === other.isRoot &&
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

export function described(node: OutlineNode, mark: Mark): string {
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
