/**
 * Changes of a tree, as changes of its text. What is not concerned keeps its bytes: comments,
 * order, quotes, blank lines. A part that is written in one line (`{a: 1}`, `[b, c]`) is written
 * anew by the YAML library, comments and order kept as well.
 */

import {
  type Document,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  stringify,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { Json } from "../api/types";
import type { Place } from "../tree/outline";
import { lineEnd } from "./lines";
import { contentEnd, itemSpan, nodeAt, pairOf, pairSpan, read, type Source } from "./source";

/** The text after the change, and the place of what it was about. */
export interface Edited {
  text: string;
  place: Place | null;
}

const STYLE = { lineWidth: 0, indentSeq: true, flowCollectionPadding: false } as const;

export function splice(text: string, from: number, to: number, put: string): string {
  return text.slice(0, from) + put + text.slice(to);
}

function indented(text: string, by: number): string {
  const pad = " ".repeat(by);
  return text.replace(/^(?=.*\S)/gm, pad);
}

/** Lines moved to another depth; what is deeper within them stays that much deeper. */
function reindented(text: string, from: number, to: number): string {
  if (from === to) return text;
  return text
    .split("\n")
    .map((line) => {
      if (line.trim() === "") return line;
      const own = line.length - line.trimStart().length;
      return " ".repeat(Math.max(0, own - from + to)) + line.trimStart();
    })
    .join("\n");
}

function withNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** Where no lines can be cut, the document itself is changed and written. */
function rewritten(source: Source, change: (document: Document) => void): string {
  const document = parseDocument(source.text, { version: "1.2" });
  change(document);
  return document.toString(STYLE);
}

/** Set what stands at a key of the mapping at a place; undefined takes it away. */
export function setField(
  source: Source,
  place: Place,
  key: string,
  value: Json | undefined,
): string {
  const { text } = source;
  const map = nodeAt(source, place);
  if (!isMap(map)) {
    // A bare verb, or nothing yet: it becomes a mapping.
    if (value === undefined) return text;
    return rewritten(source, (document) => {
      const before = isScalar(map) ? String(map.value) : null;
      document.setIn(place, document.createNode(before ? { [before]: null } : {}));
      document.setIn([...place, key], document.createNode(value));
    });
  }
  const pair = pairOf(map, key);
  if (map.flow) {
    return rewritten(source, (document) => {
      if (value === undefined) document.deleteIn([...place, key]);
      else document.setIn([...place, key], document.createNode(value));
    });
  }
  if (pair) {
    return value === undefined ? withoutPair(source, map, pair) : withValue(source, pair, value);
  }
  if (value === undefined) return text;
  return withPair(source, map, place, key, value);
}

function withValue(source: Source, pair: Pair<Node, Node | null>, value: Json): string {
  const { text } = source;
  const keyRange = pair.key.range;
  if (!keyRange) return text;
  const column = keyRange[0] - (text.lastIndexOf("\n", keyRange[0] - 1) + 1);
  const key = isScalar(pair.key) ? String(pair.key.value) : "";
  const written = stringify({ [key]: value }, STYLE).trimEnd();
  const tail = written.slice(written.indexOf(":") + 1);
  const [first = "", ...rest] = tail.split("\n");
  const put = [first, ...rest.map((line) => (line ? " ".repeat(column) + line : line))].join("\n");
  const colon = text.indexOf(":", keyRange[1]);
  const end = pair.value?.range ? Math.max(contentEnd(text, pair.value), colon + 1) : colon + 1;
  return splice(text, colon + 1, end, put);
}

function withoutPair(source: Source, map: YAMLMap, pair: Pair<Node, Node | null>): string {
  const { text } = source;
  const span = pairSpan(source, pair);
  if (span) return splice(text, span.from, span.to, "");
  // The first pair of a list's item shares its line with the dash: the next one takes its place.
  const at = map.items.indexOf(pair as never);
  const next = map.items[at + 1] as Pair<Node, Node | null> | undefined;
  const from = pair.key.range?.[0];
  const to = next?.key.range?.[0];
  if (from === undefined || to === undefined)
    return splice(text, from ?? 0, lineEnd(text, from ?? 0), "{}\n");
  return splice(text, from, to, "");
}

function withPair(source: Source, map: YAMLMap, place: Place, key: string, value: Json): string {
  const { text } = source;
  const first = map.items[0] as Pair<Node, Node | null> | undefined;
  const start = first?.key.range?.[0];
  if (start === undefined) {
    return rewritten(source, (document) => {
      document.setIn([...place, key], document.createNode(value));
    });
  }
  const column = start - (text.lastIndexOf("\n", start - 1) + 1);
  const written = stringify({ [key]: value }, STYLE);
  if (key === "id") {
    // A node's id stands first, where it is looked for.
    return splice(text, start, start, `${written}${" ".repeat(column)}`);
  }
  const end = lineEnd(text, contentEnd(text, map));
  const glue = text.slice(0, end).endsWith("\n") || end === 0 ? "" : "\n";
  return splice(text, end, end, glue + indented(written, column));
}

/** Set a value deep within a node: what is missing on the way is made. */
export function setIn(source: Source, place: Place, value: Json | undefined): string {
  const parent = place.slice(0, -1);
  const key = place.at(-1);
  if (typeof key !== "string") return source.text;
  if (nodeAt(source, parent) !== null && isMap(nodeAt(source, parent))) {
    return setField(source, parent, key, value);
  }
  if (value === undefined || parent.length === 0) {
    return parent.length === 0 ? setField(source, [], key, value) : source.text;
  }
  return setIn(source, parent, { [key]: value });
}

/** A list's item as text of its own, standing at the left: `- delay: 1h`. */
export function itemText(source: Source, place: Place): string | null {
  const index = place.at(-1);
  const list = nodeAt(source, place.slice(0, -1));
  if (typeof index === "number" && isSeq(list)) {
    const span = itemSpan(source, list, index);
    if (span) return reindented(withNewline(source.text.slice(span.from, span.to)), span.indent, 0);
  }
  const node = nodeAt(source, place);
  return node ? stringify([node.toJS(source.document)], STYLE) : null;
}

/** Put items, given as the text of a list, before the index of the list at a place. */
export function insert(source: Source, listPlace: Place, index: number, items: string): Edited {
  const { text } = source;
  const place = [...listPlace, index];
  const list = nodeAt(source, listPlace);
  if (isSeq(list) && !list.flow && list.items.length > 0) {
    const at = Math.min(index, list.items.length);
    const span = itemSpan(source, list, at < list.items.length ? at : at - 1);
    if (span) {
      const offset = at < list.items.length ? span.from : span.to;
      const glue = offset > 0 && text[offset - 1] !== "\n" ? "\n" : "";
      const put = glue + reindented(withNewline(items), 0, span.indent);
      return { text: splice(text, offset, offset, put), place: [...listPlace, at] };
    }
  }
  const parent = nodeAt(source, listPlace.slice(0, -1));
  const key = listPlace.at(-1);
  const pair = isMap(parent) && typeof key === "string" ? pairOf(parent, key) : null;
  const isEmpty = list === null || (isSeq(list) && list.items.length === 0) || isEmptyScalar(list);
  if (pair && isEmpty && isMap(parent) && !parent.flow) {
    return { text: withItems(source, pair, items), place: [...listPlace, 0] };
  }
  if (listPlace.length === 1 && isEmpty && !pair) {
    return {
      text: `${withNewline(text)}${text.trim() ? "\n" : ""}${String(key)}:\n${indented(withNewline(items), 2)}`,
      place: [...listPlace, 0],
    };
  }
  const made = parseDocument(items).toJS() as Json[];
  return {
    text: rewritten(source, (document) => {
      const found = document.getIn(listPlace);
      if (isSeq(found))
        found.items.splice(index, 0, ...made.map((item) => document.createNode(item)));
      else if (found === null || found === undefined)
        document.setIn(listPlace, document.createNode(made));
      else document.setIn(listPlace, document.createNode([jsOf(found, document), ...made]));
    }),
    place,
  };
}

function jsOf(node: unknown, document: Document): Json {
  return (isCollection(node) || isScalar(node) ? node.toJS(document) : node) as Json;
}

function isEmptyScalar(node: Node | null): boolean {
  return isScalar(node) && node.value === null;
}

/** A list's items under a key that had none. */
function withItems(source: Source, pair: Pair<Node, Node | null>, items: string): string {
  const { text } = source;
  const start = pair.key.range?.[0] ?? 0;
  const column = start - (text.lastIndexOf("\n", start - 1) + 1);
  const colon = text.indexOf(":", pair.key.range?.[1] ?? start);
  const end = pair.value?.range ? Math.max(pair.value.range[1], colon + 1) : colon + 1;
  const head = splice(text, colon + 1, end, "");
  const line = lineEnd(head, colon + 1);
  const glue = head[line - 1] === "\n" ? "" : "\n";
  return splice(head, line, line, glue + indented(withNewline(items), column + 2));
}

/** Take a node away: an item of a list, or a named part of a node. */
export function remove(source: Source, place: Place): Edited {
  const { text } = source;
  const last = place.at(-1);
  const parentPlace = place.slice(0, -1);
  const parent = nodeAt(source, parentPlace);
  if (typeof last === "number" && isSeq(parent)) {
    const next = nextAfter(parentPlace, last, parent);
    if (parent.items.length > 1) {
      const span = itemSpan(source, parent, last);
      if (span) return { text: splice(text, span.from, span.to, ""), place: next };
    } else if (!parent.flow) {
      return { text: emptied(source, parentPlace), place: parentPlace.slice(0, -1) };
    }
    return { text: rewritten(source, (document) => document.deleteIn(place)), place: next };
  }
  if (typeof last === "string" && isMap(parent)) {
    return { text: setField(source, parentPlace, last, undefined), place: parentPlace };
  }
  return { text, place };
}

function nextAfter(listPlace: Place, index: number, list: YAMLSeq): Place | null {
  const rest = list.items.length - 1;
  return rest > 0 ? [...listPlace, Math.min(index, rest - 1)] : null;
}

/** A list that has lost its last item stays, as an empty one. */
function emptied(source: Source, listPlace: Place): string {
  const parent = nodeAt(source, listPlace.slice(0, -1));
  const key = listPlace.at(-1);
  const pair = isMap(parent) && typeof key === "string" ? pairOf(parent, key) : null;
  if (pair) return withValue(source, pair, []);
  return rewritten(source, (document) => document.setIn(listPlace, document.createNode([])));
}

/** The same node once more behind it, with ids that are free. */
export function duplicate(source: Source, place: Place): Edited {
  const index = place.at(-1);
  const copy = itemText(source, place);
  if (typeof index !== "number" || copy === null) return { text: source.text, place };
  return insert(source, place.slice(0, -1), index + 1, withFreeIds(source, copy));
}

/** Ids are unique within a tree: those that are taken get a number behind them. */
export function withFreeIds(source: Source, items: string): string {
  const taken = new Set<string>();
  for (const match of source.text.matchAll(/^[\s-]*id:\s*([a-z][a-z0-9_]*)/gm))
    taken.add(match[1] ?? "");
  return items.replace(/^([\s-]*id:\s*)([a-z][a-z0-9_]*)/gm, (whole, head: string, id: string) => {
    if (!taken.has(id)) {
      taken.add(id);
      return whole;
    }
    const stem = id.replace(/_\d+$/, "");
    let number = 2;
    while (taken.has(`${stem}_${number}`)) number++;
    taken.add(`${stem}_${number}`);
    return `${head}${stem}_${number}`;
  });
}

/** Move a list's item before the index of a list, which may be another one. */
export function move(source: Source, place: Place, listPlace: Place, index: number): Edited {
  if (startsWith(listPlace, place)) return { text: source.text, place };
  const item = itemText(source, place);
  if (item === null) return { text: source.text, place };
  const own = place.at(-1);
  const isSameList =
    typeof own === "number" &&
    startsWith(place.slice(0, -1), listPlace) &&
    place.length === listPlace.length + 1;
  if (isSameList && (index === own || index === own + 1)) return { text: source.text, place };
  // The later change is made first, so that the places of the earlier one still hold.
  const put = insert(source, listPlace, index, item);
  const shifted = afterInsert(place, listPlace, index);
  const taken = remove(read(put.text), shifted);
  return { text: taken.text, place: afterRemove(put.place ?? [...listPlace, index], shifted) };
}

export function startsWith(place: Place, beginning: Place): boolean {
  return beginning.every((part, at) => place[at] === part);
}

/** A place after an item was put into a list. */
function afterInsert(place: Place, listPlace: Place, index: number): Place {
  const at = place[listPlace.length];
  if (!startsWith(place, listPlace) || typeof at !== "number" || at < index) return place;
  return [...listPlace, at + 1, ...place.slice(listPlace.length + 1)];
}

/** A place after an item was taken out of a list. */
function afterRemove(place: Place, removed: Place): Place {
  const index = removed.at(-1);
  const list = removed.slice(0, -1);
  const at = place[list.length];
  if (typeof index !== "number" || typeof at !== "number") return place;
  if (!startsWith(place, list) || at <= index) return place;
  return [...list, at - 1, ...place.slice(list.length + 1)];
}

/** Put a node into a new one: `fallback`, `try`, ... whose part it becomes. */
export function wrap(source: Source, place: Place, outer: (inner: string) => string): Edited {
  const index = place.at(-1);
  const list = nodeAt(source, place.slice(0, -1));
  const inner = itemText(source, place);
  if (inner === null) return { text: source.text, place };
  if (typeof index === "number" && isSeq(list)) {
    const span = itemSpan(source, list, index);
    if (span) {
      const put = reindented(withNewline(outer(inner)), 0, span.indent);
      return { text: splice(source.text, span.from, span.to, put), place };
    }
  }
  const made = parseDocument(outer(inner)).toJS() as Json[];
  return {
    text: rewritten(source, (document) =>
      document.setIn(place, document.createNode(made[0] ?? null)),
    ),
    place,
  };
}
