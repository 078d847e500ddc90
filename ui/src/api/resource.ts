/** Something of the hub's that a view shows, kept fresh while anybody looks at it. */

import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "./client";

export interface Resource<T> {
  /** The last answer, also while a newer one is on its way or the hub is away. */
  data: T | undefined;
  problem: Problem | undefined;
  refresh: () => void;
  /** Take what was told elsewhere as if it had been answered. */
  put: (data: T) => void;
}

interface Kept<T> {
  key: string | null;
  text: string;
  data: T | undefined;
  problem: Problem | undefined;
}

/**
 * Asks now, again every `every` milliseconds while the page is visible, and when it becomes so.
 * `key` says what is asked for: another key drops the data of before; with null nothing is.
 */
export function useResource<T>(
  key: string | null,
  ask: (signal: AbortSignal) => Promise<T>,
  options: { every?: number | null; keep?: boolean } = {},
): Resource<T> {
  const { every = null, keep = false } = options;
  const [kept, setKept] = useState<Kept<T>>({ key, text: "", data: undefined, problem: undefined });
  const [turn, setTurn] = useState(0);
  const asking = useRef(ask);
  asking.current = ask;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn is a wish to ask again
  useEffect(() => {
    if (key === null) return;
    const aborter = new AbortController();
    let timer: number | undefined;
    let isAsking = false;
    async function look() {
      window.clearTimeout(timer);
      if (isAsking) return;
      isAsking = true;
      try {
        const data = await asking.current(aborter.signal);
        const text = JSON.stringify(data);
        setKept((before) =>
          before.key === key && before.text === text && !before.problem
            ? before
            : { key, text, data, problem: undefined },
        );
      } catch (error) {
        if (aborter.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, "page", String(error));
        setKept((before) => ({
          key,
          text: "",
          data: before.key === key && problem.status !== 404 ? before.data : undefined,
          problem,
        }));
      } finally {
        isAsking = false;
      }
      if (every !== null && !document.hidden && !aborter.signal.aborted) {
        timer = window.setTimeout(look, every);
      }
    }
    const shown = () => {
      if (!document.hidden && every !== null) look();
    };
    document.addEventListener("visibilitychange", shown);
    look();
    return () => {
      aborter.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [key, every, turn]);

  const refresh = useCallback(() => setTurn((turn) => turn + 1), []);
  const put = useCallback(
    (data: T) => setKept({ key, text: JSON.stringify(data), data, problem: undefined }),
    [key],
  );
  const isOfKey = kept.key === key;
  return {
    data: isOfKey || keep ? kept.data : undefined,
    problem: isOfKey ? kept.problem : undefined,
    refresh,
    put,
  };
}
