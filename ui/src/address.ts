/** The address is where the page keeps what it shows: which view, and with which filters. */

import { useSyncExternalStore } from "react";

const MOVED = "hub:moved";

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(MOVED, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(MOVED, changed);
  };
}

export interface Address {
  /** The path's segments, each decoded by itself: a run's key may hold anything. */
  segments: string[];
  query: URLSearchParams;
}

export function useAddress(): Address {
  const text = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const [path = "", search = ""] = split(text);
  return {
    segments: path.split("/").slice(1).map(decoded),
    query: new URLSearchParams(search),
  };
}

function split(text: string): [string, string] {
  const at = text.indexOf("?");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Asked before the page leaves where it is; false keeps it there. */
let mayLeave: (() => boolean) | null = null;

export function guardLeaving(ask: () => boolean): () => void {
  const unload = (event: BeforeUnloadEvent) => {
    event.preventDefault();
  };
  mayLeave = ask;
  window.addEventListener("beforeunload", unload);
  return () => {
    mayLeave = null;
    window.removeEventListener("beforeunload", unload);
  };
}

export function go(to: string, options: { replace?: boolean } = {}): void {
  const leaves = to.split("?")[0] !== location.pathname;
  if (leaves && mayLeave && !mayLeave()) return;
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  window.dispatchEvent(new Event(MOVED));
  if (leaves) window.scrollTo(0, 0);
}

/** The current address with some filters set, or taken away where the value is empty. */
export function withQuery(changes: Record<string, string | null>): string {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  return location.pathname + (text ? `?${text}` : "");
}

/** An id as it stands in a path: slashes as they are, all else encoded. */
export function inPath(id: string): string {
  return id.split("/").map(encodeURIComponent).join("/");
}

/** Whether an id is of no run, but of the place where runs wait for an event by its value. */
export const isMatch = (id: string) => id.startsWith("~match/");
export const runAddress = (id: string) => `/runs/${inPath(id)}`;
export const treeAddress = (name: string) => `/trees/${encodeURIComponent(name)}`;
export const eventAddress = (id: string, trigger?: string) =>
  `/events/${inPath(id)}${trigger ? `?trigger=${encodeURIComponent(trigger)}` : ""}`;
