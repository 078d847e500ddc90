/** The lines from each node to its parts: one path for all that look the same. */

import { memo } from "react";
import { toneOf } from "../parts/status";
import { CARD, type Direction, type Placed } from "./layout";
import type { Mark } from "./mark";
import type { OutlineNode } from "./outline";
import { type Box, isWithin } from "./viewport";

const ROUND = 10;

export const Lines = memo(function Lines({
  placed,
  marks,
  direction,
  area,
}: {
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
  direction: Direction;
  area: Box;
}) {
  const spots = new Map<OutlineNode, Placed>(placed.map((one) => [one.node, one]));
  const paths = new Map<string, string>();
  for (const one of placed) {
    const parent = one.parent && spots.get(one.parent);
    if (!parent || !isWithin(between(parent, one), area)) continue;
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

function between(parent: Placed, child: Placed): Box {
  return {
    left: Math.min(parent.x, child.x),
    top: Math.min(parent.y, child.y),
    right: Math.max(parent.x, child.x) + CARD.width,
    bottom: Math.max(parent.y, child.y) + CARD.height,
  };
}

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
