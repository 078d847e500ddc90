/** Places in the text of a tree, as the canvas thinks of them. */

import type { Json, JsonObject } from "../api/types";
import { isObject, type OutlineNode, type Place } from "../tree/outline";
import { lineEnd, lineStart } from "./lines";
import { contentEnd, nodeAt, type Source } from "./source";

/** Where something new goes: into a node that holds a list, otherwise beside it. */
export function spotFor(
  target: OutlineNode | null,
  at: { x: number; y: number } | null,
): { list: Place; index: number } {
  if (!target || target.place.length === 1) {
    const size = target?.children.length ?? Number.MAX_SAFE_INTEGER;
    return { list: ["do"], index: target ? size : Number.MAX_SAFE_INTEGER };
  }
  const [first] = target.children;
  const holds = first && typeof first.place.at(-1) === "number" ? first.place.slice(0, -1) : null;
  const index = target.place.at(-1);
  const isEdge = at !== null && (at.y < 0.25 || at.y > 0.75);
  if (holds && at !== null && !isEdge) return { list: holds, index: target.children.length };
  if (typeof index === "number") {
    const isBefore = at !== null && at.y < (holds ? 0.25 : 0.5);
    return { list: target.place.slice(0, -1), index: isBefore ? index : index + 1 };
  }
  return holds ? { list: holds, index: target.children.length } : { list: target.place, index: 1 };
}

/** The whole lines that a node stands on. */
export function spanOf(source: Source, found: NonNullable<ReturnType<typeof nodeAt>>) {
  const from = lineStart(source.text, found.range?.[0] ?? 0);
  return { from, to: lineEnd(source.text, contentEnd(source.text, found)) };
}

/** What stands at a place, as a mapping. */
export function valueAt(source: Source, place: Place): JsonObject | null {
  const found = nodeAt(source, place);
  const plain = found?.toJS(source.document) as Json | undefined;
  if (typeof plain === "string") return { [plain]: null };
  return isObject(plain) ? plain : null;
}
