/** What follows from the text of a tree: its drawing, and what is wrong with it. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { Diagnostic } from "../api/types";
import { type OutlineNode, outline, titled, Words } from "../tree/outline";
import { read, readSoon, type Source } from "./source";

/** Texts up to this many characters are read at once, longer ones without holding up a frame. */
const SHORT = 8_000;
/** Milliseconds without a letter after which what was typed is read. */
const PAUSE = 120;

/**
 * The text, read: the latest that has been. What is changed on the canvas is read at once; what is
 * typed is when one pauses, or when `settle` asks for it, because the text is left.
 */
export function useSource(text: string): {
  source: Source | null;
  typed: (text: string) => void;
  changed: (text: string) => void;
  settle: () => void;
} {
  const [source, setSource] = useState(() => (text.length <= SHORT ? read(text) : null));
  const waiting = useRef<{ text: string; stop: () => void } | null>(null);
  const later = useCallback((next: string, pause: number) => {
    waiting.current?.stop();
    const aborter = new AbortController();
    const timer = window.setTimeout(async () => {
      const found = await readSoon(next, aborter.signal);
      if (!found) return;
      waiting.current = null;
      setSource(found);
    }, pause);
    const stop = () => {
      window.clearTimeout(timer);
      aborter.abort();
    };
    waiting.current = { text: next, stop };
  }, []);
  const changed = useCallback((next: string) => {
    waiting.current?.stop();
    waiting.current = null;
    setSource(read(next));
  }, []);
  const settle = useCallback(() => {
    if (waiting.current) changed(waiting.current.text);
  }, [changed]);
  const typed = useCallback(
    (next: string) => (next.length <= SHORT ? changed(next) : later(next, PAUSE)),
    [changed, later],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the text that it begins with
  useEffect(() => {
    if (!source) later(text, 0);
    return () => waiting.current?.stop();
  }, []);
  return { source, typed, changed, settle };
}

export function useWords(): Words | undefined {
  const { data } = useResource("language", hub.language);
  return useMemo(() => data && new Words(data), [data]);
}

/** The drawing of the text; while the text is broken, that of before. */
export function useDrawn(
  source: Source | null,
  words: Words | undefined,
): { roots: OutlineNode[]; isOld: boolean } {
  const before = useRef<OutlineNode[]>([]);
  return useMemo(() => {
    if (!words || !source) return { roots: [], isOld: false };
    if (source.faults.length > 0) return { roots: before.current, isOld: true };
    const root = outline(source.value, words);
    before.current = root ? [titled(root, source.value)] : [];
    return { roots: before.current, isOld: false };
  }, [source, words]);
}

const NONE: Diagnostic[] = [];

/** What is wrong: as YAML at once, and what it means as soon as the hub has said it. */
export function useDiagnostics(
  name: string,
  source: Source | null,
  hasText: boolean,
): Diagnostic[] {
  const [told, setTold] = useState<{ text: string; diagnostics: Diagnostic[] }>({
    text: "",
    diagnostics: [],
  });
  const text = source?.text;
  const faults = source?.faults ?? NONE;
  useEffect(() => {
    if (!hasText || text === undefined || faults.length > 0) return;
    const aborter = new AbortController();
    const timer = window.setTimeout(() => {
      hub.validateTree(name, text, aborter.signal).then(
        ({ diagnostics }) => setTold({ text, diagnostics }),
        () => {},
      );
    }, 250);
    return () => {
      window.clearTimeout(timer);
      aborter.abort();
    };
  }, [name, text, faults.length, hasText]);
  return useMemo(() => (faults.length > 0 ? faults : told.diagnostics), [faults, told]);
}
