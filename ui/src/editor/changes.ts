/** What can be done to a tree on its canvas: each a change of its text. */

import type { VerbInfo } from "../api/types";
import { type OutlineNode, type Place, pathOf, type Words } from "../tree/outline";
import {
  duplicate,
  type Edited,
  insert,
  itemText,
  move,
  remove,
  setIn,
  withFreeIds,
  wrap,
} from "./edits";
import { newItem, wrappings } from "./pieces";
import type { Source } from "./source";
import { spotFor } from "./spots";

type Point = { x: number; y: number };

export interface Changes {
  isEditable: boolean;
  add: (info: VerbInfo, target: OutlineNode | null, at: Point | null) => void;
  moveTo: (dragged: OutlineNode, target: OutlineNode, at: Point) => void;
  /** One place up or down among its neighbours. */
  shift: (by: -1 | 1) => void;
  wrapInto: (verb: string) => void;
  duplicate: () => void;
  remove: () => void;
  copied: () => string | null;
  paste: (items: string) => boolean;
  set: (place: Place, value: Parameters<typeof setIn>[2]) => void;
  addPart: (place: Place) => void;
}

export function changesOf({
  source,
  words,
  nodes,
  node,
  events,
  isReadOnly,
  apply,
}: {
  source: Source;
  words: Words | undefined;
  nodes: Map<string, OutlineNode>;
  node: OutlineNode | null;
  events: string[];
  isReadOnly: boolean;
  /** `note` is what is said of it to those who do not see it. */
  apply: (edited: Edited, note: string) => void;
}): Changes {
  const isEditable = !isReadOnly && source.faults.length === 0;
  /** The node itself is no part that could be taken out. */
  const isPart = node !== null && node.place.length > 1;
  return {
    isEditable,
    add(info, target, at) {
      if (!isEditable) return;
      const [event] = events.filter((name) => name !== source.value.start);
      const spot = spotFor(target, at);
      const item = withFreeIds(source, newItem(info, event ?? events[0]));
      apply(insert(source, spot.list, spot.index, item), `${info.verb} added`);
    },
    moveTo(dragged, target, at) {
      if (!isEditable || dragged === target) return;
      const spot = spotFor(target, at);
      apply(move(source, dragged.place, spot.list, spot.index), `${dragged.label} moved`);
    },
    shift(by) {
      const index = node?.place.at(-1);
      if (!isEditable || !node || typeof index !== "number") return;
      const list = node.place.slice(0, -1);
      const listPath = pathOf(list);
      const siblings = [...nodes.values()].filter(
        (one) =>
          one.place.length === node.place.length && pathOf(one.place.slice(0, -1)) === listPath,
      ).length;
      const to = by < 0 ? index - 1 : index + 2;
      if (to < 0 || to > siblings) return;
      apply(move(source, node.place, list, to), `${node.label} moved ${by < 0 ? "up" : "down"}`);
    },
    wrapInto(verb) {
      const outer = words && wrappings(words.language.verbs).get(verb);
      if (!isEditable || !isPart || !outer) return;
      apply(wrap(source, node.place, outer), `${node.label} put into ${verb}`);
    },
    duplicate() {
      if (isEditable && isPart) apply(duplicate(source, node.place), `${node.label} duplicated`);
    },
    remove() {
      if (isEditable && isPart) apply(remove(source, node.place), `${node.label} deleted`);
    },
    copied() {
      return isPart ? itemText(source, node.place) : null;
    },
    paste(items) {
      if (!isEditable || !/^\s*(#.*\n\s*)*- /.test(items)) return false;
      const spot = spotFor(node, null);
      apply(insert(source, spot.list, spot.index, withFreeIds(source, items)), "Pasted");
      return true;
    },
    set(place, value) {
      if (isEditable) apply({ text: setIn(source, place, value), place: node?.place ?? null }, "");
    },
    addPart(place) {
      if (!isEditable) return;
      const text = setIn(source, place, [{ log: "to be written" }]);
      apply({ text, place: [...place, 0] }, "Added");
    },
  };
}
