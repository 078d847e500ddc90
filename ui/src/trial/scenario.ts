/** A scenario as text: one to begin with, and changes of it that keep what else is written. */

import { isMap, parse, parseDocument, stringify } from "yaml";
import type { Json, JsonObject } from "../api/types";
import { draftOf } from "../tree/draft";
import { isObject, type Place } from "../tree/outline";

const STYLE = { lineWidth: 0, flowCollectionPadding: false } as const;

export function textOf(scenario: JsonObject): string {
  return stringify(scenario, STYLE);
}

/** The text as a mapping; null while it is none. */
export function mappingOf(text: string): JsonObject | null {
  try {
    const value = parse(text) as Json;
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Set what stands at a place; undefined takes it away. */
export function withValue(text: string, place: Place, value: Json | undefined): string {
  const document = parseDocument(text);
  if (!isMap(document.contents)) return text;
  if (value === undefined) document.deleteIn(place);
  else document.setIn(place, document.createNode(value));
  return document.toString(STYLE);
}

/** A first scenario: what starts the tree, as far as the tree foretells it. */
export function firstScenario(tree: JsonObject): string {
  const start = isObject(tree.start) ? tree.start.event : tree.start;
  return textOf({ name: "what happens when", start: foretold(tree, String(start), "k1") });
}

/** An event of the tree, by the name that the tree gives it. */
export function foretold(tree: JsonObject, name: string, key: string | null): JsonObject {
  const events = isObject(tree.events) ? tree.events : {};
  const subscription = events[name];
  if (!isObject(subscription)) return { type: name, data: {} };
  const draft = draftOf(name, subscription, key);
  return { type: draft.type || name.replaceAll("_", "."), data: draft.data };
}

/** The key that the scenario's start event has, by the tree's own rule. */
export function keyOf(tree: JsonObject, scenario: JsonObject): string | null {
  const events = isObject(tree.events) ? tree.events : {};
  const start = isObject(tree.start) ? tree.start.event : tree.start;
  const subscription = events[String(start)];
  if (!isObject(subscription)) return null;
  const words = /^\s*event\.([\w.]+)\s*$/.exec(String(subscription.key ?? ""))?.[1]?.split(".");
  let at: Json | undefined = scenario.start;
  for (const word of words ?? []) at = isObject(at) ? at[word] : undefined;
  return at === undefined || at === null || typeof at === "object" ? null : String(at);
}
