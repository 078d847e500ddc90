/**
 * A tree's document as an outline of nodes, each with the path that the hub calls it by
 * (`do[1].fallback[0]`). It never fails: what is no node yet, because it is being written, is
 * shown as what it is.
 */

import type { Json, JsonObject, Language, Run, TreeDocument, VerbInfo } from "../api/types";

export type Place = (string | number)[];

export interface OutlineNode {
  path: string;
  place: Place;
  /** The verb, or "" where there is none yet. */
  verb: string;
  group: VerbInfo["group"] | "unknown" | "list";
  id: string | null;
  label: string;
  /** What it is about, in one line. */
  summary: string;
  /** Which part of its parent it is, where that has a name: `then`, `catch`, a case. */
  slot: string | null;
  children: OutlineNode[];
}

export function pathOf(place: Place): string {
  let text = "";
  for (const part of place) {
    text += typeof part === "number" ? `[${part}]` : text ? `.${part}` : part;
  }
  return text;
}

/** The path of a node in the definition, from one of a run: rounds of loops are left out. */
export function definedPath(path: string): string {
  return path.replace(/#\d+/g, "");
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export class Words {
  private readonly verbs: Map<string, VerbInfo>;
  private readonly common: Set<string>;

  constructor(readonly language: Language) {
    this.verbs = new Map(language.verbs.map((info) => [info.verb, info]));
    this.common = new Set(language.common.map((field) => field.key));
  }

  info(verb: string): VerbInfo | undefined {
    return this.verbs.get(verb);
  }

  isCommon(key: string): boolean {
    return this.common.has(key);
  }

  /** The verb of a mapping, found as the hub finds it. */
  verbOf(value: JsonObject): string | null {
    let found = Object.keys(value).filter(
      (key) => this.verbs.has(key) || /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/.test(key),
    );
    if (found.length > 1 && found.includes("if") && !("then" in value)) {
      found = found.filter((key) => key !== "if");
    }
    if (found.length > 1) {
      const owner = found.find((verb) => {
        const keys = new Set(this.verbs.get(verb)?.fields.map((field) => field.key));
        return found.every((other) => other === verb || keys.has(other));
      });
      return owner ?? found[0] ?? null;
    }
    return found[0] ?? null;
  }
}

/** The outline of a document; null while there is nothing under `do`. */
export function outline(document: JsonObject, words: Words): OutlineNode | null {
  return document.do === undefined || document.do === null
    ? null
    : body(["do"], document.do, null, words);
}

function body(place: Place, value: Json, slot: string | null, words: Words): OutlineNode {
  const [only] = Array.isArray(value) ? value : [];
  if (Array.isArray(value) && value.length === 1 && place.length > 1 && only !== undefined) {
    // A list of one is drawn as that one: it tells nothing more.
    return body([...place, 0], only, slot, words);
  }
  if (Array.isArray(value)) {
    return {
      path: pathOf(place),
      place,
      verb: "sequence",
      group: "list",
      id: null,
      label: "sequence",
      summary: `${value.length} ${value.length === 1 ? "step" : "steps"}`,
      slot,
      children: value.map((item, index) => body([...place, index], item, null, words)),
    };
  }
  if (typeof value === "string") return node(place, { [value]: null }, slot, words);
  if (isObject(value)) return node(place, value, slot, words);
  return {
    path: pathOf(place),
    place,
    verb: "",
    group: "unknown",
    id: null,
    label: "nothing yet",
    summary: "write a node here",
    slot,
    children: [],
  };
}

function node(place: Place, value: JsonObject, slot: string | null, words: Words): OutlineNode {
  const verb = words.verbOf(value);
  const info = verb ? words.info(verb) : undefined;
  const id = typeof value.id === "string" ? value.id : null;
  const name = typeof value.name === "string" ? value.name : null;
  const children: OutlineNode[] = [];
  if (verb && info) {
    for (const field of info.fields) {
      const at = fieldAt(value, verb, field.key, info, words);
      if (!at || at.value === null || at.value === undefined) continue;
      const where = [...place, ...at.place];
      if (field.kind === "nodes" && Array.isArray(at.value)) {
        at.value.forEach((item, index) => {
          children.push(body([...where, index], item, null, words));
        });
      } else if (field.kind === "cases" && isObject(at.value)) {
        for (const [name, item] of Object.entries(at.value)) {
          children.push(body([...where, name], item, name, words));
        }
      } else if (field.kind === "node" || field.kind === "nodes") {
        const named = field.key === info.primary || info.fields.length === 1 ? null : field.key;
        children.push(body(where, at.value, named, words));
      }
    }
  }
  if (value.undo !== undefined && value.undo !== null) {
    children.push(body([...place, "undo"], value.undo, "undo", words));
  }
  return {
    path: pathOf(place),
    place,
    verb: verb ?? "",
    group: info?.group ?? (verb ? "connector" : "unknown"),
    id,
    label: name ?? id ?? verb ?? "no verb yet",
    summary: summarise(value, verb, info, words, name ?? id),
    slot,
    children,
  };
}

/** Where a node's own field stands: beside the verb, below it, or as the verb's own value. */
export function fieldAt(
  value: JsonObject,
  verb: string,
  key: string,
  info: VerbInfo,
  words: Words,
): { place: Place; value: Json } | null {
  const below = value[verb];
  const keys = new Set(info.fields.map((field) => field.key));
  const primary = info.fields.find((field) => field.key === info.primary);
  if (isObject(below)) {
    const takesMapping =
      primary && ["cases", "mapping"].includes(primary.kind)
        ? false
        : primary && ["node", "template", "any"].includes(primary.kind)
          ? primary.key in below && Object.keys(below).every((name) => keys.has(name))
          : !primary || Object.keys(below).some((name) => keys.has(name));
    if (takesMapping && key in below) return { place: [verb, key], value: below[key] as Json };
    if (!takesMapping && key === info.primary) return { place: [verb], value: below };
  } else if (key === info.primary && below !== null && below !== undefined) {
    return { place: [verb], value: below };
  }
  if (key !== verb && key in value && !words.isCommon(key)) {
    return { place: [key], value: value[key] as Json };
  }
  return null;
}

function summarise(
  value: JsonObject,
  verb: string | null,
  info: VerbInfo | undefined,
  words: Words,
  title: string | null,
): string {
  if (!verb) return Object.keys(value).join(", ");
  const parts: string[] = [];
  if (title) parts.push(verb);
  const below = value[verb];
  if (info?.group === "connector" || !info) {
    if (isObject(below)) {
      const told = Object.entries(below)
        .filter(([, item]) => typeof item !== "object")
        .slice(0, 2)
        .map(([, item]) => short(item));
      parts.push(...told);
    }
  } else if (info.primary) {
    const primary = info.fields.find((field) => field.key === info.primary);
    const at = fieldAt(value, verb, info.primary, info, words);
    if (at && primary && !["node", "nodes", "cases"].includes(primary.kind)) {
      parts.push(isObject(at.value) ? Object.keys(at.value).join(", ") : short(at.value));
    } else if (verb === "delay") {
      const until = fieldAt(value, verb, "until", info, words);
      if (until) parts.push(`until ${short(until.value)}`);
    }
  }
  if (typeof value.timeout === "string") parts.push(`at most ${value.timeout}`);
  if (value.retry !== undefined) {
    const attempts = isObject(value.retry) ? value.retry.attempts : value.retry;
    if (attempts !== undefined) parts.push(`${short(attempts)} tries`);
  }
  if (verb !== "if" && value.if !== undefined) parts.push(`if ${short(value.if)}`);
  return parts.join(" · ");
}

function short(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const plain = text.replace(/^\$\{\{\s*(.*?)\s*\}\}$/s, "$1");
  return plain.length > 60 ? `${plain.slice(0, 59)}…` : plain;
}

export function* walk(node: OutlineNode): Generator<OutlineNode> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

/** An outline of the paths that a run has touched, for when its definition is not at hand. */
export function outlineOfPaths(
  paths: [string, { type: string; id: string | null }][],
): OutlineNode[] {
  const roots: OutlineNode[] = [];
  const known = new Map<string, OutlineNode>();
  const sorted = [...new Map(paths.map(([path, state]) => [definedPath(path), state]))];
  sorted.sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  for (const [path, state] of sorted) {
    const made: OutlineNode = {
      path,
      place: [],
      verb: state.type,
      group: "unknown",
      id: state.id,
      label: state.id ?? state.type,
      summary: state.id ? state.type : "",
      slot: null,
      children: [],
    };
    known.set(path, made);
    let end = path.length - 1;
    while (end > 0 && !(".[".includes(path[end] ?? "") && known.has(path.slice(0, end)))) end--;
    const parent = end > 0 ? known.get(path.slice(0, end)) : undefined;
    (parent ? parent.children : roots).push(made);
  }
  return roots;
}

export function findNode(roots: OutlineNode[], path: string): OutlineNode | null {
  for (const root of roots) for (const node of walk(root)) if (node.path === path) return node;
  return null;
}

/** The shape of a run: of its definition, or where that is not at hand of what it has reached. */
export function runShape(
  run: Run,
  definition: TreeDocument | undefined,
  words: Words,
): OutlineNode[] {
  const drawn = definition && outline({ do: definition.do ?? null }, words);
  if (!drawn) return outlineOfPaths(Object.entries(run.nodes));
  return [titled(drawn, definition as unknown as JsonObject)];
}

/** The root is called as the tree is, and says what starts it. */
export function titled(root: OutlineNode, document: JsonObject): OutlineNode {
  const { start, tree, title } = document;
  const name = isObject(start) ? start.event : start;
  return {
    ...root,
    label: String(title ?? tree ?? "tree"),
    summary: name ? `starts with ${String(name)}` : root.summary,
  };
}
