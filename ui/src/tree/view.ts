/** Where one looks at a drawing: how it opens, is shown whole, and is led to what is chosen. */

import type { Viewport } from "@xyflow/react";
import { type Box, CARD, type Direction, type Point } from "./layout";

/** What moves the drawing: React Flow. */
interface Flow {
  getViewport: () => Viewport;
  setViewport: (
    viewport: Viewport,
    options: { duration: number; ease: (part: number) => number; interpolate: "linear" },
  ) => Promise<boolean>;
}

export const LARGEST = 1.6;
/** A drawing that would be smaller than this is shown from its root. */
const LEGIBLE = 0.5;
const COMFORTABLE = 0.75;
const MARGIN = 28;

export class View {
  /** Of the window on the drawing, in pixels; nothing while it is hidden. */
  size = { width: 0, height: 0 };
  /** The box around all that there is. */
  whole: Box = { left: 0, top: 0, right: 1, bottom: 1 };
  private readonly flow: Flow;
  /** Where it is on its way to. */
  private target: Viewport | null = null;
  private arrival = 0;

  constructor(flow: Flow) {
    this.flow = flow;
  }

  /** It is moved by hand: it is on no way of its own any more. */
  stop(): void {
    window.clearTimeout(this.arrival);
    this.target = null;
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
  open(root: Point, direction: Direction): void {
    const { width, height } = this.size;
    if (width === 0) return;
    if (this.isLegible()) {
      this.showAll(0);
      return;
    }
    const zoom = COMFORTABLE;
    const isAcross = direction === "across";
    this.go(
      {
        x: isAcross ? MARGIN - root.x * zoom : width / 2 - (root.x + CARD.width / 2) * zoom,
        y: isAcross ? height / 2 - (root.y + CARD.height / 2) * zoom : MARGIN - root.y * zoom,
        zoom,
      },
      0,
    );
  }

  /** Move as far as is needed for a card to be seen. */
  reveal(card: Point): void {
    const { width, height } = this.size;
    if (width === 0) return;
    const { x, y, zoom } = this.target ?? this.flow.getViewport();
    const dx = missing(card.x * zoom + x, CARD.width * zoom, width);
    const dy = missing(card.y * zoom + y, CARD.height * zoom, height);
    if (dx || dy) this.go({ x: x + dx, y: y + dy, zoom }, 160);
  }

  /** A point of the drawing in the middle, as large as before where nothing else is said. */
  centre(point: Point, duration: number, zoom = this.flow.getViewport().zoom): void {
    const { width, height } = this.size;
    this.go({ x: width / 2 - point.x * zoom, y: height / 2 - point.y * zoom, zoom }, duration);
  }

  /** One can move out as far as all of it is seen. */
  least(): number {
    return Math.min(0.25, Math.max(0.01, this.fitting()));
  }

  private go({ x, y, zoom }: Viewport, wanted: number): void {
    const duration = lasting(wanted);
    this.stop();
    // On whole pixels letters are sharp.
    const next = { x: Math.round(x), y: Math.round(y), zoom };
    if (duration > 0) {
      this.target = next;
      this.arrival = window.setTimeout(() => this.stop(), duration + 50);
    }
    this.flow.setViewport(next, {
      duration,
      ease: (part) => 1 - (1 - part) ** 3,
      interpolate: "linear",
    });
  }

  private fitting(): number {
    const { left, top, right, bottom } = this.whole;
    return Math.min(
      (this.size.width - 2 * MARGIN) / (right - left),
      (this.size.height - 2 * MARGIN) / (bottom - top),
    );
  }
}

/** Milliseconds that a move takes: none for whoever wants less motion. */
export function lasting(duration: number): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : duration;
}

function missing(from: number, length: number, size: number): number {
  const margin = 16;
  if (from < margin) return margin - from;
  const to = from + length;
  return to > size - margin ? size - margin - to : 0;
}
