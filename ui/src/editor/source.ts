/** The text of a tree, read: where each part stands, and what is wrong with it as YAML. */

import {
  Composer,
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { Diagnostic, JsonObject } from "../api/types";
import { isObject, type Place } from "../tree/outline";
import { lineEnd, lineStart } from "./lines";
import { patched } from "./patch";

export interface Source {
  text: string;
  document: Document.Parsed;
  lines: LineCounter;
  value: JsonObject;
  /** Faults of the YAML itself; with any of them `value` is of no use. */
  faults: Diagnostic[];
}

/** Milliseconds after which reading lets the page draw, and goes on behind that. */
const SLICE = 8;

let latest: Source | null = null;
/** The last one without faults, from which the next one may follow. */
let sound: Source | null = null;

/** Read a text; the last one that was read is remembered. Nobody may change what it gives. */
export function read(text: string): Source {
  const known = recalled(text);
  if (known) return known;
  return remembered(readWhole(text));
}

/** Read a text without a thought of those before. */
export function readWhole(text: string): Source {
  const reading = new Reading(text);
  for (const _ of reading.steps());
  return reading.end();
}

function recalled(text: string): Source | null {
  if (latest?.text === text) return latest;
  const source = sound && patched(sound, text);
  return source && remembered(source);
}

function remembered(source: Source): Source {
  latest = source;
  if (source.faults.length === 0) sound = source;
  return source;
}

/** Read a text piece by piece, so that a long one holds up no frame. Null when it is given up. */
export async function readSoon(text: string, signal: AbortSignal): Promise<Source | null> {
  const known = recalled(text);
  if (known) return known;
  const reading = new Reading(text);
  let began = performance.now();
  for (const _ of reading.steps()) {
    if (performance.now() - began < SLICE) continue;
    await new Promise((go) => setTimeout(go));
    if (signal.aborted) return null;
    began = performance.now();
  }
  await new Promise((go) => setTimeout(go));
  if (signal.aborted) return null;
  return remembered(reading.end());
}

/** What `parseDocument` of the YAML library does, in steps. */
class Reading {
  private readonly lines = new LineCounter();
  private readonly parser = new Parser(this.lines.addNewLine);
  private readonly composer = new Composer({ version: "1.2", lineCounter: this.lines });
  private readonly documents: Document.Parsed[] = [];

  constructor(private readonly text: string) {}

  *steps(): Generator<void> {
    this.lines.addNewLine(0);
    for (const lexeme of new Lexer().lex(this.text)) {
      for (const token of this.parser.next(lexeme)) this.take(this.composer.next(token));
      yield;
    }
    for (const token of this.parser.end()) this.take(this.composer.next(token));
  }

  end(): Source {
    this.take(this.composer.end(true, this.text.length));
    const [document, another] = this.documents;
    if (!document) throw new Error("the YAML library has given no document");
    const faults = document.errors.map((error) => this.fault(error.pos[0], error.message));
    if (another) faults.push(this.fault(another.range[0], "a tree's file holds one document"));
    let value: JsonObject = {};
    if (faults.length === 0) {
      try {
        const plain = document.toJS({ maxAliasCount: 100 });
        if (isObject(plain)) value = plain;
      } catch (error) {
        // A name that nothing has, or too much by names.
        faults.push(this.fault(0, (error as Error).message));
      }
    }
    return { text: this.text, document, lines: this.lines, value, faults };
  }

  private take(documents: Iterable<Document.Parsed>): void {
    for (const document of documents) this.documents.push(document);
  }

  private fault(offset: number, message: string): Diagnostic {
    const at = this.lines.linePos(offset);
    return {
      message: message.split("\n")[0] ?? "",
      severity: "error",
      code: "syntax",
      line: at.line,
      column: at.col,
    };
  }
}

/** What stands for a text that has not been read so far: nothing. */
export const UNREAD: Source = new Reading("").end();

export type Found = Node | Pair;

/** What stands at a place, or null. */
export function nodeAt(source: Source, place: Place): Node | null {
  let at: unknown = source.document.contents;
  for (const part of place) {
    if (isMap(at)) at = pairOf(at, String(part))?.value;
    else if (isSeq(at) && typeof part === "number") at = at.items[part];
    else return null;
  }
  return (at as Node | null | undefined) ?? null;
}

export function pairOf(map: YAMLMap, key: string): Pair<Node, Node | null> | null {
  for (const pair of map.items) {
    if (isScalar(pair.key) && String(pair.key.value) === key)
      return pair as Pair<Node, Node | null>;
  }
  return null;
}

/** Where the content of a node ends, without what is blank or comment behind it. */
export function contentEnd(text: string, node: Node): number {
  const [start, end] = node.range ?? [0, 0, 0];
  if (isMap(node) || isSeq(node)) {
    if (!node.flow) {
      const last = node.items.at(-1);
      const inner = isPair(last)
        ? ((last.value ?? last.key) as Node | null)
        : (last as Node | null);
      if (inner?.range) return contentEnd(text, inner);
    }
  }
  let at = end;
  while (at > start && /\s/.test(text[at - 1] ?? "")) at--;
  return at;
}

export interface Span {
  from: number;
  to: number;
  /** How deep its first line stands. */
  indent: number;
}

/**
 * The whole lines of a list's item: with the comment right above it, and with what stands behind
 * it on its last line. Null where the list is written in one line.
 */
export function itemSpan(source: Source, list: YAMLSeq, index: number): Span | null {
  const { text } = source;
  const item = list.items[index] as Node | null;
  if (list.flow || !item?.range) return null;
  let dash = item.range[0] - 1;
  while (dash > 0 && text[dash] !== "-") dash--;
  const start = lineStart(text, dash);
  // Two lists that begin on one line cannot be cut by lines.
  if (text.slice(start, dash).trim() !== "") return null;
  const indent = dash - start;
  let from = start;
  const before = index > 0 ? (list.items[index - 1] as Node | null) : null;
  const floor = before?.range ? lineEnd(text, contentEnd(text, before)) : 0;
  while (from > floor) {
    const above = lineStart(text, from - 1);
    const line = text.slice(above, from);
    if (above < floor || !/^\s*#/.test(line) || line.search(/#/) !== indent) break;
    from = above;
  }
  return { from, to: lineEnd(text, contentEnd(text, item)), indent };
}

/** The whole lines of a pair of a mapping; null where it shares its line with something else. */
export function pairSpan(source: Source, pair: Pair<Node, Node | null>): Span | null {
  const { text } = source;
  const start = pair.key.range?.[0];
  if (start === undefined) return null;
  const from = lineStart(text, start);
  if (text.slice(from, start).trim() !== "") return null;
  const end = pair.value?.range ? contentEnd(text, pair.value) : (pair.key.range?.[1] ?? start);
  return { from, to: lineEnd(text, Math.max(end, start)), indent: start - from };
}

/** The place of the node of the tree that an offset stands in: the innermost list item or part. */
export function placeAt(source: Source, offset: number, places: Place[]): Place | null {
  let best: Place | null = null;
  let size = Number.POSITIVE_INFINITY;
  for (const place of places) {
    const node = nodeAt(source, place);
    if (!node?.range) continue;
    const from = lineStart(source.text, node.range[0]);
    const to = lineEnd(source.text, contentEnd(source.text, node));
    if (offset >= from && offset <= to && to - from < size) {
      size = to - from;
      best = place;
    }
  }
  return best;
}
