/** Through a drawing by the keyboard. */

import type { Direction, Placed } from "./layout";

export const ZOOMS: Record<string, "in" | "out" | "all"> = {
  "+": "in",
  "=": "in",
  "-": "out",
  "0": "all",
};

/** The node that an arrow key leads to: to the parent, the first child, or a neighbour of its level. */
export function neighbour(
  key: string,
  direction: Direction,
  placed: Placed[],
  selected: string | null,
): string | null {
  const keys =
    direction === "across"
      ? { ArrowLeft: "up", ArrowRight: "in", ArrowUp: "before", ArrowDown: "after" }
      : { ArrowUp: "up", ArrowDown: "in", ArrowLeft: "before", ArrowRight: "after" };
  const way = (keys as Record<string, string>)[key];
  if (!way) return null;
  const here = placed.find(({ node }) => node.path === selected);
  if (!here) return placed[0]?.node.path ?? null;
  if (way === "up") return here.parent?.path ?? null;
  if (way === "in") return here.node.children[0]?.path ?? null;
  const level = placed
    .filter(({ x, y }) => (direction === "across" ? x === here.x : y === here.y))
    .sort((a, b) => (direction === "across" ? a.y - b.y : a.x - b.x));
  const at = level.indexOf(here);
  return level[at + (way === "after" ? 1 : -1)]?.node.path ?? null;
}
