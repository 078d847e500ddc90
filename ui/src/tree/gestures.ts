/** Moving a drawing by hand: wheel, trackpad, mouse, and one or two fingers. */

import type { Point, Viewport } from "./viewport";

/** Pixels before a press that moves is no click any more. */
const SLACK = 4;

/** Listens on a plane; gives back what ends it. `moved` is called when it is moved by hand. */
export function listen(plane: HTMLElement, viewport: Viewport, moved: () => void): () => void {
  const pointers = new Map<number, Point>();
  let isDragged = false;
  const ended = new AbortController();
  const { signal } = ended;

  function at(event: MouseEvent): Point {
    const { left, top } = plane.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  function onWheel(event: WheelEvent) {
    event.preventDefault();
    moved();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (event.ctrlKey || event.metaKey) {
      // A wheel's notch is a hundred pixels, a pinch on a trackpad one or two at a time.
      viewport.zoomAt(at(event), 2 ** (-Math.max(-30, Math.min(30, dy)) / 100));
    } else if (event.shiftKey && dx === 0) viewport.moveBy(-dy, 0);
    else viewport.moveBy(-dx, -dy);
  }

  function onDown(event: PointerEvent) {
    if (event.button > 1) return;
    const isTaken = (event.target as Element).closest("[draggable=true]") !== null;
    if (isTaken && event.pointerType === "mouse" && event.button === 0) return;
    if (event.button === 1) event.preventDefault();
    if (pointers.size === 0) isDragged = false;
    pointers.set(event.pointerId, at(event));
  }

  function onPointerMove(event: PointerEvent) {
    // It may have been let go of elsewhere.
    if (event.buttons === 0) pointers.delete(event.pointerId);
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    if (!isDragged && pointers.size === 1) {
      if (Math.hypot(now.x - before.x, now.y - before.y) < SLACK) return;
      plane.setPointerCapture(event.pointerId);
    }
    isDragged = true;
    moved();
    pointers.set(event.pointerId, now);
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, one]) => one);
    if (!other) {
      viewport.moveBy(now.x - before.x, now.y - before.y);
      return;
    }
    const apart = (one: Point) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
    viewport.moveBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    viewport.zoomAt(
      { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 },
      apart(now) / apart(before),
    );
  }

  function onUp(event: PointerEvent) {
    pointers.delete(event.pointerId);
  }

  plane.addEventListener("wheel", onWheel, { passive: false, signal });
  plane.addEventListener("pointerdown", onDown, { signal });
  plane.addEventListener("pointermove", onPointerMove, { signal });
  plane.addEventListener("pointerup", onUp, { signal });
  plane.addEventListener("pointercancel", onUp, { signal });
  plane.addEventListener(
    "click",
    (event) => {
      // The end of a drag is no click on what is below.
      if (isDragged && event.detail > 0) event.stopPropagation();
      isDragged = false;
    },
    { capture: true, signal },
  );
  return () => ended.abort();
}
