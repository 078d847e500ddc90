/**
 * Where the nodes of an outline stand: a tidy tree. Parents stand at the middle of their children,
 * subtrees are moved together as far as they do not touch. Nothing of it is ever stored.
 */

import type { OutlineNode } from "./outline";

export type Direction = "across" | "down";

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Placed extends Point {
  node: OutlineNode;
  parent: OutlineNode | null;
}

/** The size of a card. */
export const CARD = { width: 236, height: 62 };

const BETWEEN_SIBLINGS = { across: 14, down: 22 };
const BETWEEN_LEVELS = { across: 38, down: 42 };

/** The side of a subtree: for each level, its first and last coordinate. */
interface Outline {
  first: number[];
  last: number[];
}

export function layout(roots: OutlineNode[], direction: Direction): Placed[] {
  const breadth = direction === "across" ? CARD.height : CARD.width;
  const depth = direction === "across" ? CARD.width : CARD.height;
  const gap = BETWEEN_SIBLINGS[direction];
  const step = depth + BETWEEN_LEVELS[direction];
  const shifts = new Map<OutlineNode, number>();

  /** The outline of a subtree whose root is at 0; notes how far each child is from its parent. */
  function arrange(node: OutlineNode): Outline {
    const own: Outline = { first: [-breadth / 2], last: [breadth / 2] };
    if (node.children.length === 0) return own;
    const sides = node.children.map(arrange);
    const offsets = pack(sides, gap);
    const middle = ((offsets[0] ?? 0) + (offsets.at(-1) ?? 0)) / 2;
    node.children.forEach((child, index) => {
      shifts.set(child, (offsets[index] ?? 0) - middle);
    });
    const below = join(
      sides,
      offsets.map((offset) => offset - middle),
    );
    return { first: [...own.first, ...below.first], last: [...own.last, ...below.last] };
  }

  const sides = roots.map(arrange);
  const offsets = pack(sides, gap * 2);
  const placed: Placed[] = [];
  function put(node: OutlineNode, parent: OutlineNode | null, level: number, at: number) {
    const [x, y] =
      direction === "across" ? [level * step, at - breadth / 2] : [at - breadth / 2, level * step];
    placed.push({ node, parent, x, y });
    for (const child of node.children) put(child, node, level + 1, at + (shifts.get(child) ?? 0));
  }
  roots.forEach((root, index) => {
    put(root, null, 0, offsets[index] ?? 0);
  });
  return placed;
}

/** The box around all of them. */
export function boxAround(placed: Placed[]): Box {
  const box = { left: 0, top: 0, right: 1, bottom: 1 };
  placed.forEach(({ x, y }, index) => {
    const [right, bottom] = [x + CARD.width, y + CARD.height];
    box.left = index ? Math.min(box.left, x) : x;
    box.top = index ? Math.min(box.top, y) : y;
    box.right = index ? Math.max(box.right, right) : right;
    box.bottom = index ? Math.max(box.bottom, bottom) : bottom;
  });
  return box;
}

/** How far each of the neighbours must stand from the first. */
function pack(sides: Outline[], gap: number): number[] {
  const offsets: number[] = [];
  const reached: number[] = [];
  sides.forEach((side, index) => {
    let offset = index === 0 ? 0 : Number.NEGATIVE_INFINITY;
    side.first.forEach((first, level) => {
      const before = reached[level];
      if (before !== undefined) offset = Math.max(offset, before + gap - first);
    });
    offsets.push(offset);
    side.last.forEach((last, level) => {
      reached[level] = Math.max(reached[level] ?? Number.NEGATIVE_INFINITY, last + offset);
    });
  });
  return offsets;
}

function join(sides: Outline[], offsets: number[]): Outline {
  const joined: Outline = { first: [], last: [] };
  sides.forEach((side, index) => {
    const offset = offsets[index] ?? 0;
    side.first.forEach((first, level) => {
      joined.first[level] = Math.min(
        joined.first[level] ?? Number.POSITIVE_INFINITY,
        first + offset,
      );
    });
    side.last.forEach((last, level) => {
      joined.last[level] = Math.max(joined.last[level] ?? Number.NEGATIVE_INFINITY, last + offset);
    });
  });
  return joined;
}
