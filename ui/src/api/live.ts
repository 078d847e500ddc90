/** Server-sent events: what the hub tells by itself, for as long as somebody looks. */

import { useCallback, useEffect, useRef, useState } from "react";

/** Milliseconds after which a stream that was refused is tried again. */
const AGAIN = 15_000;

type Told = Record<string, (data: string) => void>;

/**
 * Listens at an address while the page is visible: a browser has few connections to one hub, and
 * what nobody sees must not hold one. Says whether it is open; while it is not, who listens asks.
 */
export function useLive(address: string | null, told: Told): boolean {
  const [isOpen, setOpen] = useState(false);
  const latest = useRef(told);
  latest.current = told;
  const names = Object.keys(told).join(" ");
  useEffect(() => {
    if (address === null) return;
    let source: EventSource | null = null;
    let timer: number | undefined;
    function close() {
      window.clearTimeout(timer);
      source?.close();
      source = null;
      setOpen(false);
    }
    function open() {
      close();
      if (document.hidden || address === null) return;
      const opened = new EventSource(address);
      source = opened;
      opened.onopen = () => setOpen(true);
      opened.onerror = () => {
        setOpen(false);
        // Where the hub has said no, the browser does not come again by itself.
        if (opened.readyState === EventSource.CLOSED) timer = window.setTimeout(open, AGAIN);
      };
      for (const name of names.split(" ")) {
        opened.addEventListener(name, (event) => latest.current[name]?.(event.data));
      }
      opened.addEventListener("end", close);
    }
    open();
    document.addEventListener("visibilitychange", open);
    return () => {
      document.removeEventListener("visibilitychange", open);
      close();
    };
  }, [address, names]);
  return isOpen;
}

/** Milliseconds within which many wishes are one. */
const SOON = 300;

/** Does it at once, and of many times in quick succession only the last once more. */
export function useSoon(act: () => void): () => void {
  const latest = useRef(act);
  latest.current = act;
  const timer = useRef<number | undefined>(undefined);
  const last = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return useCallback(() => {
    window.clearTimeout(timer.current);
    const wait = last.current + SOON - Date.now();
    timer.current = window.setTimeout(
      () => {
        last.current = Date.now();
        latest.current();
      },
      Math.max(0, wait),
    );
  }, []);
}
