/** The line between text and canvas: it is dragged, or moved by the arrow keys, and stays there. */

import { type KeyboardEvent, type PointerEvent, useLayoutEffect, useRef, useState } from "react";

const KEY = "hub.text-share";
const USUAL = 36;
const LEAST = 15;
const MOST = 75;
const STEP = 2;

/** Per cent of the width of both that the text has. */
function remembered(): number {
  try {
    const kept = Number(localStorage.getItem(KEY));
    return kept >= LEAST && kept <= MOST ? kept : USUAL;
  } catch {
    return USUAL;
  }
}

export function Splitter() {
  const line = useRef<HTMLDivElement>(null);
  const [share, setShare] = useState(remembered);
  useLayoutEffect(() => {
    line.current?.parentElement?.style.setProperty("--text-share", String(share / 100));
  }, [share]);

  function move(wanted: number) {
    const next = Math.round(Math.max(LEAST, Math.min(MOST, wanted)) * 10) / 10;
    setShare(next);
    try {
      localStorage.setItem(KEY, String(next));
    } catch {
      // Where storage is forbidden it lasts as long as the page.
    }
  }

  function onPointerMove(event: PointerEvent<HTMLDivElement>) {
    const text = event.currentTarget.previousElementSibling?.getBoundingClientRect();
    const canvas = event.currentTarget.nextElementSibling?.getBoundingClientRect();
    if (!text || !canvas || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    move(((event.clientX - text.left) / (canvas.right - text.left)) * 100);
  }

  function onKeyDown(event: KeyboardEvent) {
    const places: Record<string, number> = {
      ArrowLeft: share - STEP,
      ArrowRight: share + STEP,
      Home: LEAST,
      End: MOST,
      Enter: USUAL,
    };
    const next = places[event.key];
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(next);
  }

  return (
    <div
      ref={line}
      className="splitter"
      role="separator"
      aria-label="Between text and drawing"
      aria-orientation="vertical"
      aria-valuemin={LEAST}
      aria-valuemax={MOST}
      aria-valuenow={Math.round(share)}
      title="Drag, or use the arrow keys; a double click puts it back"
      tabIndex={0}
      onKeyDown={onKeyDown}
      onDoubleClick={() => move(USUAL)}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={onPointerMove}
    />
  );
}
