/**
 * Where one looks at a drawing: how far it is moved, and how large it is. To move costs no
 * rendering: who listens moves one element. Rendered anew is only when what is in sight leaves
 * what is drawn, or when so much is in sight that less is told of each card.
 */

export interface Point {
  x: number;
  y: number;
}

/** A point of the drawing stands at `point * zoom + (x, y)` of the plane. */
export interface View extends Point {
  zoom: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** How much is told of a card: all, its name in large letters, or only its colour. */
export type Detail = "all" | "name" | "colour";

/** What is drawn: what stands in this part of the drawing, and how much is told of it. */
export interface Scene {
  area: Box;
  detail: Detail;
}

const LARGEST = 1.6;
/** Zooms below which less is told; above by a little more, so that it does not flicker. */
const NAMES = 0.46;
const COLOURS = 0.2;
const LATITUDE = 1.06;
/** How far around what is in sight is drawn, in parts of its own size. */
const AROUND = 0.45;
/** A drawing that would be smaller than this is shown from its root. */
const LEGIBLE = 0.5;
const COMFORTABLE = 0.75;
const MARGIN = 28;
/** Milliseconds without a move after which letters are drawn sharp again. */
const REST = 160;

export class Viewport {
  view: View = { x: 0, y: 0, zoom: 1 };
  size = { width: 0, height: 0 };
  scene: Scene = { area: { left: 0, top: 0, right: 0, bottom: 0 }, detail: "all" };
  isMoving = false;
  private whole: Box = { left: 0, top: 0, right: 1, bottom: 1 };
  private target: View | null = null;
  private frame = 0;
  private rest = 0;
  private readonly viewers = new Set<() => void>();
  private readonly painters = new Set<() => void>();

  /** Be told of each move. */
  onMove(viewer: () => void): () => void {
    this.viewers.add(viewer);
    return () => this.viewers.delete(viewer);
  }

  /** Be told when something else has to be drawn. */
  readonly onScene = (painter: () => void): (() => void) => {
    this.painters.add(painter);
    return () => this.painters.delete(painter);
  };

  resize(width: number, height: number): void {
    this.size = { width, height };
    this.look();
  }

  /** The box around all that there is: one can move out as far as it is seen whole. */
  hold(whole: Box): void {
    this.whole = whole;
  }

  set(next: View): void {
    this.stop();
    this.put(next);
  }

  moveBy(dx: number, dy: number): void {
    const { x, y, zoom } = this.target ?? this.view;
    this.set({ x: x + dx, y: y + dy, zoom });
  }

  /** Larger or smaller, with a point of the plane staying where it is. */
  zoomAt(at: Point, factor: number, duration = 0): void {
    const before = this.target ?? this.view;
    const zoom = this.allowed(before.zoom * factor);
    const scale = zoom / before.zoom;
    this.go(
      { x: at.x - (at.x - before.x) * scale, y: at.y - (at.y - before.y) * scale, zoom },
      duration,
    );
  }

  zoomBy(factor: number, duration: number): void {
    this.zoomAt({ x: this.size.width / 2, y: this.size.height / 2 }, factor, duration);
  }

  /** A point of the drawing in the middle. */
  centre(point: Point, zoom: number, duration: number): void {
    const { width, height } = this.size;
    const allowed = this.allowed(zoom);
    this.go(
      { x: width / 2 - point.x * allowed, y: height / 2 - point.y * allowed, zoom: allowed },
      duration,
    );
  }

  /** All of it, however small that is. */
  showAll(duration: number): void {
    const { width, height } = this.size;
    if (width === 0) return;
    const { left, top, right, bottom } = this.whole;
    const zoom = Math.min(1, this.fitting());
    this.go(
      { x: (width - (left + right) * zoom) / 2, y: (height - (top + bottom) * zoom) / 2, zoom },
      duration,
    );
  }

  /** Whether it can be read where all of it is in sight. */
  isLegible(): boolean {
    return this.fitting() >= LEGIBLE;
  }

  /** All of it where that can be read, otherwise a large drawing from its root. */
  open(root: Box, isAcross: boolean): void {
    const { width, height } = this.size;
    if (width === 0) return;
    if (this.isLegible()) {
      this.showAll(0);
      return;
    }
    const zoom = COMFORTABLE;
    const middle = { x: (root.left + root.right) / 2, y: (root.top + root.bottom) / 2 };
    this.set({
      x: isAcross ? MARGIN - root.left * zoom : width / 2 - middle.x * zoom,
      y: isAcross ? height / 2 - middle.y * zoom : MARGIN - root.top * zoom,
      zoom,
    });
  }

  /** Move as far as is needed for a box to be seen. */
  reveal(box: Box): void {
    const { width, height } = this.size;
    if (width === 0) return;
    const { x, y, zoom } = this.target ?? this.view;
    const dx = missing(box.left * zoom + x, box.right * zoom + x, width);
    const dy = missing(box.top * zoom + y, box.bottom * zoom + y, height);
    if (dx || dy) this.go({ x: x + dx, y: y + dy, zoom }, 160);
  }

  /** What is in sight. */
  seen(): Box {
    const { x, y, zoom } = this.view;
    const { width, height } = this.size;
    return {
      left: -x / zoom,
      top: -y / zoom,
      right: (width - x) / zoom,
      bottom: (height - y) / zoom,
    };
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.target = null;
  }

  private go(next: View, duration: number): void {
    this.stop();
    if (duration === 0 || window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.put(next);
      return;
    }
    const from = this.view;
    this.target = next;
    let began = 0;
    const step = (now: number) => {
      began ||= now;
      const part = Math.min(1, (now - began) / duration);
      const eased = 1 - (1 - part) ** 3;
      const between = (a: number, b: number) => a + (b - a) * eased;
      this.put({
        x: between(from.x, next.x),
        y: between(from.y, next.y),
        zoom: between(from.zoom, next.zoom),
      });
      if (part < 1) this.frame = requestAnimationFrame(step);
      else this.target = null;
    };
    this.frame = requestAnimationFrame(step);
  }

  private put(view: View): void {
    this.view = view;
    this.isMoving = true;
    window.clearTimeout(this.rest);
    this.rest = window.setTimeout(() => {
      this.isMoving = false;
      this.tell();
    }, REST);
    this.look();
    this.tell();
  }

  private tell(): void {
    for (const viewer of this.viewers) viewer();
  }

  private look(): void {
    const seen = this.seen();
    const detail = this.detail();
    const { area, detail: before } = this.scene;
    const isWithin =
      seen.left >= area.left &&
      seen.top >= area.top &&
      seen.right <= area.right &&
      seen.bottom <= area.bottom;
    const width = seen.right - seen.left;
    const height = seen.bottom - seen.top;
    const isFarTooMuch = area.right - area.left > width * (1 + 2 * AROUND) * 1.8;
    if (detail === before && isWithin && !isFarTooMuch) return;
    this.scene = {
      area: {
        left: seen.left - width * AROUND,
        top: seen.top - height * AROUND,
        right: seen.right + width * AROUND,
        bottom: seen.bottom + height * AROUND,
      },
      detail,
    };
    for (const painter of this.painters) painter();
  }

  private detail(): Detail {
    const { zoom } = this.view;
    const before = this.scene.detail;
    if (zoom < COLOURS * (before === "colour" ? LATITUDE : 1)) return "colour";
    return zoom < NAMES * (before === "all" ? 1 : LATITUDE) ? "name" : "all";
  }

  private fitting(): number {
    const { left, top, right, bottom } = this.whole;
    return Math.min(
      (this.size.width - 2 * MARGIN) / (right - left),
      (this.size.height - 2 * MARGIN) / (bottom - top),
    );
  }

  private allowed(zoom: number): number {
    const least = Math.min(0.25, Math.max(0.01, this.fitting()));
    return Math.min(LARGEST, Math.max(least, zoom));
  }
}

function missing(from: number, to: number, size: number): number {
  const margin = 16;
  if (from < margin) return margin - from;
  return to > size - margin ? size - margin - to : 0;
}

export function isWithin(box: Box, area: Box): boolean {
  return (
    box.right >= area.left &&
    box.left <= area.right &&
    box.bottom >= area.top &&
    box.top <= area.bottom
  );
}
