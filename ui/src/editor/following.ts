/** What follows a change of the text: its drawing and its form, a frame behind it. */

import { useCallback, useEffect, useRef } from "react";
import { flushSync } from "react-dom";

/** Whoever does one of these next finds done what was still to follow. */
const NEXT = ["keydown", "pointerdown", "click", "input", "paste", "copy", "cut", "drop"];

/** Takes what is to follow. Text and drawing in one frame would make it a long one. */
export function useFollowing(): (what: () => void) => void {
  const waiting = useRef<(() => void)[]>([]);
  const stop = useRef<(() => void) | null>(null);
  const now = useCallback(() => {
    stop.current?.();
    stop.current = null;
    if (waiting.current.length === 0) return;
    const all = waiting.current.splice(0);
    flushSync(() => {
      for (const one of all) one();
    });
  }, []);
  useEffect(() => {
    for (const kind of NEXT) window.addEventListener(kind, now, true);
    return () => {
      for (const kind of NEXT) window.removeEventListener(kind, now, true);
      stop.current?.();
    };
  }, [now]);
  return useCallback(
    (what) => {
      waiting.current.push(what);
      stop.current ??= behindNextFrame(now);
    },
    [now],
  );
}

/** Do something when the frame that is being made has been shown; gives back what stops it. */
export function behindNextFrame(what: () => void): () => void {
  let timer = 0;
  const frame = requestAnimationFrame(() => {
    timer = window.setTimeout(what);
  });
  return () => {
    cancelAnimationFrame(frame);
    window.clearTimeout(timer);
  };
}
