/**
 * What is below the cards, as one node of React Flow: the lines from each node to its parts, one
 * path for all that look the same; and, seen from far away, the cards as well, a box for each.
 */

import type { Node, NodeProps } from "@xyflow/react";
import { memo } from "react";
import { toneOf } from "../parts/status";
import { type CardNode, described, looksOf, NO_HANDLES } from "./card";
import { useDetail } from "./detail";
import { type Box, CARD, type Direction, type Placed } from "./layout";
import type { Mark } from "./mark";
import type { OutlineNode } from "./outline";

export interface GroundData extends Record<string, unknown> {
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
  direction: Direction;
  whole: Box;
  /** What is drawn as mere boxes. */
  boxes: CardNode[];
}

export type GroundNode = Node<GroundData, "ground">;

/** No path of a node. */
export const GROUND = "(ground)";
const ROUND = 10;

export function groundOf(data: GroundData): GroundNode {
  const { left, top, right, bottom } = data.whole;
  return {
    id: GROUND,
    type: "ground",
    position: { x: left, y: top },
    measured: { width: right - left, height: bottom - top },
    handles: NO_HANDLES,
    data,
    zIndex: -1,
    style: { pointerEvents: "none" },
    ariaRole: "presentation",
    domAttributes: { "aria-roledescription": undefined },
  };
}

export const Ground = memo(
  function Ground({ data }: NodeProps<GroundNode>) {
    const { placed, marks, direction, whole, boxes } = data;
    const detail = useDetail();
    return (
      <div className={`ground tells-${detail}`} style={{ left: -whole.left, top: -whole.top }}>
        <Lines placed={placed} marks={marks} direction={direction} />
        {boxes.map(({ id, data, position, selected, domAttributes }) => (
          <div
            key={id}
            role="group"
            aria-roledescription="node"
            aria-label={described(data.node, data.mark)}
            {...domAttributes}
            data-id={id}
            className={`node ${looksOf(data, selected === true, "colour")}`}
            style={{ left: position.x, top: position.y }}
            draggable={data.isDraggable}
            title={data.mark.fault?.message ?? described(data.node, data.mark)}
          />
        ))}
      </div>
    );
  },
  (one, other) => one.data === other.data,
);

const Lines = memo(function Lines({
  placed,
  marks,
  direction,
}: Pick<GroundData, "placed" | "marks" | "direction">) {
  const spots = new Map<OutlineNode, Placed>(placed.map((one) => [one.node, one]));
  const paths = new Map<string, string>();
  for (const one of placed) {
    const parent = one.parent && spots.get(one.parent);
    if (!parent) continue;
    const status = marks?.get(one.node.path)?.status;
    const look = status && status !== "pending" ? `reached tone-${toneOf(status)}` : "";
    paths.set(look, (paths.get(look) ?? "") + line(parent, one, direction));
  }
  return (
    <svg className="lines" width="1" height="1" aria-hidden="true">
      {[...paths].map(([look, path]) => (
        <path key={look} className={look} d={path} />
      ))}
    </svg>
  );
});

/** From the middle of a parent's side to the middle of its part's, around two corners. */
function line(parent: Placed, child: Placed, direction: Direction): string {
  if (direction === "across") {
    const [x, y] = [parent.x + CARD.width, parent.y + CARD.height / 2];
    const [endX, endY] = [child.x, child.y + CARD.height / 2];
    const middle = (x + endX) / 2;
    const round = Math.min(ROUND, Math.abs(endY - y) / 2, middle - x);
    const way = endY < y ? -round : round;
    return (
      `M${x} ${y}H${middle - round}Q${middle} ${y} ${middle} ${y + way}` +
      `V${endY - way}Q${middle} ${endY} ${middle + round} ${endY}H${endX}`
    );
  }
  const [x, y] = [parent.x + CARD.width / 2, parent.y + CARD.height];
  const [endX, endY] = [child.x + CARD.width / 2, child.y];
  const middle = (y + endY) / 2;
  const round = Math.min(ROUND, Math.abs(endX - x) / 2, middle - y);
  const way = endX < x ? -round : round;
  return (
    `M${x} ${y}V${middle - round}Q${x} ${middle} ${x + way} ${middle}` +
    `H${endX - way}Q${endX} ${middle} ${endX} ${middle + round}V${endY}`
  );
}
