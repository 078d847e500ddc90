/**
 * Reading a text that differs little from one that has been read: only the list's items that the
 * change touches are read again, all else is taken over, moved to where it stands now. Where that
 * cannot be told for sure nothing is given back, and the text is read as a whole.
 */

import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Pair,
  parseDocument,
  Scalar,
  YAMLMap,
  YAMLSeq,
} from "yaml";
import type { Json } from "../api/types";
import { isObject } from "../tree/outline";
import { difference } from "./difference";
import { lineStart } from "./lines";
import type { Source } from "./source";

/** Where the texts differ, and how much longer the new one is. */
interface Change {
  before: string;
  after: string;
  from: number;
  to: number;
  by: number;
}

/** A part of the document as it is now, and the plain value of it. */
interface Renewed<T extends Node> {
  node: T;
  value: Json;
}

/** Items of a list, and where the dash of the first of them stands. */
interface Items {
  nodes: Node[];
  values: Json[];
  dash: number;
}

class Unsure extends Error {}

export function patched(old: Source, text: string): Source | null {
  if (old.faults.length > 0 || !isMap(old.document.contents)) return null;
  const { from, to, insert } = difference(old.text, text);
  const by = insert.length - (to - from);
  const change = { before: old.text, after: text, from, to, by };
  let root: Renewed<YAMLMap> | null;
  try {
    root = inMap(old.document.contents, old.value, old.text.length, change);
  } catch (error) {
    if (error instanceof Unsure) return null;
    throw error;
  }
  if (!root || !isObject(root.value)) return null;
  const document: Document.Parsed = Object.create(
    Object.getPrototypeOf(old.document),
    Object.getOwnPropertyDescriptors(old.document),
  );
  document.contents = root.node as typeof document.contents;
  return { text, document, lines: linesOf(text), value: root.value, faults: [] };
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    lines.addNewLine(at + 1);
  }
  return lines;
}

/** The mapping anew, where the change is within a list that it holds; `end` is where it ends. */
function inMap(map: YAMLMap, value: Json, end: number, change: Change): Renewed<YAMLMap> | null {
  if (map.flow || !isObject(value)) return null;
  const pairs = map.items as Pair<Node, Node | null>[];
  const starts = pairs.map((pair) => pair.key.range?.[0] ?? Number.NaN);
  const at = starts.findLastIndex((start) => start <= change.from);
  const pair = pairs[at];
  if (!pair || !isScalar(pair.key) || typeof pair.key.value !== "string") return null;
  const next = starts[at + 1];
  const stop = next === undefined ? end : lineStart(change.before, next);
  const key = pair.key.value;
  if (change.to > stop || key === "<<" || !(key in value)) return null;
  const below = value[key] as Json;
  const renewed = isSeq(pair.value)
    ? inList(pair.value, below, stop, change)
    : isMap(pair.value)
      ? inMap(pair.value, below, stop, change)
      : null;
  if (!renewed) return null;
  const made = Object.assign(new YAMLMap(map.schema), map, {
    items: [
      ...pairs.slice(0, at),
      new Pair(pair.key, renewed.node),
      ...pairs.slice(at + 1).map((one) => moved(one, change.by)),
    ],
    range: stretched(map, change.by),
  });
  return { node: made, value: { ...value, [key]: renewed.value } };
}

function inList(list: YAMLSeq, value: Json, end: number, change: Change): Renewed<YAMLSeq> | null {
  if (list.flow || !Array.isArray(value) || value.length !== list.items.length) return null;
  const items = list.items as (Node | null)[];
  const dashes = items.map((item) => dashOf(item, change.before));
  const starts = dashes.map((dash) => lineStart(change.before, dash));
  const column = (dashes[0] ?? 0) - (starts[0] ?? 0);
  const first = starts.findLastIndex((start) => start <= change.from);
  const last = Math.max(
    first,
    starts.findLastIndex((start) => start < change.to),
  );
  const start = starts[first];
  const stop = starts[last + 1] ?? end;
  if (start === undefined || change.to > stop || change.to > end) return null;
  let made: Items;
  const only = items[first];
  const inner =
    first === last && isMap(only) ? inMap(only, value[first] as Json, stop, change) : null;
  if (inner) made = { nodes: [inner.node], values: [inner.value], dash: dashes[first] ?? 0 };
  else {
    const to = stop + change.by;
    // What comes behind has to begin on a line of its own, as before.
    if (to < change.after.length && change.after[to - 1] !== "\n") return null;
    const anew = itemsOf(change.after.slice(start, to), start, column);
    if (!anew) return null;
    // What had a name there may be called by it elsewhere: that is Unsure.
    for (const item of items.slice(first, last + 1)) if (item) moved(item, 1);
    made = anew;
  }
  const node = Object.assign(new YAMLSeq(list.schema), list, {
    items: [
      ...items.slice(0, first),
      ...made.nodes,
      ...items.slice(last + 1).map((item) => item && moved(item, change.by)),
    ],
    range: stretched(list, change.by),
  });
  if (first === 0 && node.range) node.range[0] = made.dash;
  return {
    node,
    value: [...value.slice(0, first), ...made.values, ...value.slice(last + 1)],
  };
}

/** Whole lines read as items of a list whose dashes stand in that column. */
function itemsOf(lines: string, offset: number, column: number): Items | null {
  let hasDash = false;
  for (const line of lines.split("\n")) {
    const words = line.trimStart();
    if (words === "" || words.startsWith("#")) continue;
    const indent = line.length - words.length;
    if (line.slice(0, indent).includes("\t") || indent < column) return null;
    const isDash = indent === column && /^-(\s|$)/.test(words);
    if (indent === column && !isDash) return null;
    if (!hasDash && !isDash) return null;
    hasDash = true;
  }
  const document = parseDocument(lines, { version: "1.2" });
  const { contents } = document;
  if (document.errors.length > 0) throw new Unsure();
  if (!isSeq(contents)) return null;
  const nodes = contents.items.map((item) => moved(item as Node, offset));
  const dash = (contents.range?.[0] ?? 0) + offset;
  return { nodes, values: document.toJS() as Json[], dash };
}

/** Where the dash of a block list's item stands, first on its line. */
function dashOf(item: Node | null, text: string): number {
  if (!item?.range) throw new Unsure();
  let dash = item.range[0] - 1;
  while (dash > 0 && text[dash] !== "-") dash--;
  if (text.slice(lineStart(text, dash), dash).trim() !== "") throw new Unsure();
  return dash;
}

function stretched(node: Node, by: number): [number, number, number] {
  const [from, to, end] = node.range ?? [0, 0, 0];
  return [from, to + by, end + by];
}

/** The same part, standing elsewhere. Names and tags mean something to the whole text. */
function moved<T extends Node | Pair>(part: T, by: number): T {
  if (isPair(part)) {
    const value = part.value as Node | null;
    return new Pair(moved(part.key as Node, by), value && moved(value, by)) as T;
  }
  const node = part as Node;
  if (node.tag || ("anchor" in node && node.anchor) || !node.range) throw new Unsure();
  const [from, to, end] = node.range;
  const range = [from + by, to + by, end + by] as [number, number, number];
  if (isScalar(node)) return Object.assign(new Scalar(node.value), node, { range }) as unknown as T;
  if (!isMap(node) && !isSeq(node)) throw new Unsure();
  const items = (node.items as (Node | Pair | null)[]).map((one) => one && moved(one, by));
  const made = isMap(node) ? new YAMLMap(node.schema) : new YAMLSeq(node.schema);
  return Object.assign(made, node, { items, range }) as unknown as T;
}
