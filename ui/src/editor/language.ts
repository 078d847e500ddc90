/** How the text of a tree looks: YAML 1.2 line by line, with the expressions in it. */

import {
  foldService,
  indentService,
  StreamLanguage,
  type StringStream,
} from "@codemirror/language";
import type { EditorState, Extension } from "@codemirror/state";
import { tags } from "@lezer/highlight";

interface At {
  /** Where a text of several lines (`|`) hangs: lines further to the right belong to it. */
  block: number | null;
  /** The column of the last key or dash. */
  column: number;
  /** How many brackets are open. */
  depth: number;
  /** The quote that is open. */
  quote: string;
  isExpression: boolean;
  /** A value may begin here: what looks like a bracket is one. */
  isFresh: boolean;
}

const KEY =
  /^(?:"(?:[^"\\]|\\.)*"|'[^']*'|(?![-?:](?:\s|$))[^\s,[\]{}#&*!|>'"%@`][^,[\]{}#]*?)(?=\s*:(?:\s|$))/;
const BLOCK = /^[|>][-+\d]{0,2}(?=\s*(?:#.*)?$)/;
const WORD = /^[^\s,[\]{}]+/;
const NUMBER = /^[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i;
const ATOM = /^(?:true|false|null|~)$/i;

const treeText = StreamLanguage.define<At>({
  name: "yaml",
  startState: () => ({
    block: null,
    column: 0,
    depth: 0,
    quote: "",
    isExpression: false,
    isFresh: true,
  }),
  copyState: (at) => ({ ...at }),
  token(stream, at) {
    if (stream.sol()) {
      at.isFresh = true;
      const isInside = at.quote !== "" || at.depth > 0;
      if (!isInside && stream.indentation() <= at.column) at.isExpression = false;
      if (at.block !== null && stream.indentation() <= at.block) at.block = null;
      if (stream.eatSpace()) return null;
    }
    if (at.isExpression) return expression(stream, at);
    if (stream.match("${{")) {
      at.isExpression = true;
      return "expression";
    }
    if (at.block !== null) return text(stream);
    if (at.quote) return quoted(stream, at);
    if (stream.eatSpace()) return null;
    return piece(stream, at);
  },
  languageData: { commentTokens: { line: "#" } },
  tokenTable: {
    key: tags.propertyName,
    text: tags.string,
    expression: tags.macroName,
    word: tags.atom,
    value: tags.number,
    sign: tags.punctuation,
    anchor: tags.labelName,
  },
});

/** What is no part of a text that goes over several lines. */
function piece(stream: StringStream, at: At): string | null {
  const begins = stream.column();
  const before = stream.string[stream.pos - 1];
  if (stream.peek() === "#" && (before === undefined || /\s/.test(before))) {
    stream.skipToEnd();
    return "comment";
  }
  if (at.isFresh && at.depth === 0 && stream.match(/^[-?](?=\s|$)/)) {
    at.column = begins;
    return "sign";
  }
  if (at.isFresh || at.depth > 0) {
    if (stream.match(KEY)) {
      if (at.depth === 0) at.column = begins;
      return "key";
    }
    if (stream.match(/^:(?=\s|$)/) || (at.depth > 0 && stream.match(","))) {
      at.isFresh = true;
      return "sign";
    }
    if (stream.match(/^[[{]/)) {
      at.depth++;
      return "sign";
    }
    if (at.depth > 0 && stream.match(/^[\]}]/)) {
      at.depth--;
      at.isFresh = at.depth > 0;
      return "sign";
    }
    if (stream.match(/^["']/)) {
      at.quote = stream.current();
      return quoted(stream, at);
    }
    if (stream.match(/^[&*!][\w./:-]*/)) return "anchor";
    if (stream.match(BLOCK)) {
      at.block = at.column;
      return "sign";
    }
  }
  const word = stream.match(WORD);
  if (!Array.isArray(word)) {
    stream.next();
    at.isFresh = false;
    return null;
  }
  const dollar = word[0].indexOf("${{");
  if (dollar > 0) stream.backUp(word[0].length - dollar);
  const isWhole = at.isFresh && /^\s*(?:#|$|[,\]}])/.test(stream.string.slice(stream.pos));
  at.isFresh = false;
  if (!isWhole) return null;
  if (NUMBER.test(word[0])) return "value";
  return ATOM.test(word[0]) ? "word" : null;
}

function expression(stream: StringStream, at: At): string {
  if (stream.skipTo("}}")) {
    stream.match("}}");
    at.isExpression = false;
    at.isFresh = at.depth > 0;
  } else stream.skipToEnd();
  return "expression";
}

/** A text up to its end of line, or to an expression in it. */
function text(stream: StringStream): string {
  if (!stream.skipTo("${{")) stream.skipToEnd();
  return "text";
}

function quoted(stream: StringStream, at: At): string {
  while (!stream.eol()) {
    if (stream.match("${{", false)) return "text";
    const letter = stream.next();
    if (letter === "\\" && at.quote === '"') stream.next();
    else if (letter === at.quote && !(letter === "'" && stream.eat("'"))) {
      at.quote = "";
      at.isFresh = at.depth > 0;
      return "text";
    }
  }
  return "text";
}

/** What hangs below a line can be folded away. */
function fold(state: EditorState, from: number): { from: number; to: number } | null {
  const line = state.doc.lineAt(from);
  const margin = indentOf(line.text);
  if (margin === null) return null;
  const isItem = line.text.startsWith("- ", margin);
  let place = line.to;
  let end = line.to;
  for (const next of state.doc.iterLines(line.number + 1)) {
    place += next.length + 1;
    const indent = indentOf(next);
    if (indent === null) continue;
    // The items of a list may stand right below its key.
    const isBelow = indent > margin || (indent === margin && !isItem && /^\s*-\s/.test(next));
    if (!isBelow) break;
    end = place;
  }
  return end > line.to ? { from: line.to, to: end } : null;
}

function indentOf(line: string): number | null {
  const found = line.search(/\S/);
  return found === -1 ? null : found;
}

/** A new line stands below the key of the one before, or where that key's value begins. */
function indent(state: EditorState, place: number): number | null {
  const line = state.doc.lineAt(place);
  const before =
    line.from < place ? line : line.number > 1 ? state.doc.line(line.number - 1) : line;
  const text = before.text.slice(0, Math.max(place - before.from, 0));
  const [whole = ""] = /^\s*(?:-\s+)*/.exec(text) ?? [];
  return /:(?:\s+[|>][-+\d]{0,2})?\s*$/.test(text) ? whole.length + 2 : whole.length;
}

export const treeLanguage: Extension = [
  treeText,
  foldService.of(fold),
  indentService.of((context, place) => indent(context.state, place)),
];
