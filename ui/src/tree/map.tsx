/** The whole drawing in a corner, with what is in sight of it; where one presses, one is led to. */

import { memo, type PointerEvent, useEffect, useRef } from "react";
import { toneOf } from "../parts/status";
import { CARD, type Placed } from "./layout";
import type { Mark } from "./mark";
import type { Box, Viewport } from "./viewport";

const EDGE = 8;
const LEAST = 8;

/** A map has about the shape of what it shows. */
function sizeFor({ left, top, right, bottom }: Box): [number, number] {
  const shape = (right - left) / (bottom - top);
  if (shape < 0.5) return [76, 240];
  return shape > 2.5 ? [240, 76] : [180, 120];
}

export const TreeMap = memo(function TreeMap({
  viewport,
  placed,
  marks,
  whole,
}: {
  viewport: Viewport;
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
  whole: Box;
}) {
  const sight = useRef<SVGPathElement>(null);
  const frame = useRef<SVGPathElement>(null);
  const [width, height] = sizeFor(whole);
  const scale = Math.min(
    (width - 2 * EDGE) / (whole.right - whole.left),
    (height - 2 * EDGE) / (whole.bottom - whole.top),
  );
  const left = (width - (whole.left + whole.right) * scale) / 2;
  const top = (height - (whole.top + whole.bottom) * scale) / 2;
  useEffect(() => {
    function follow() {
      const seen = viewport.seen();
      const [x, right] = within(seen.left * scale + left, seen.right * scale + left, width);
      const [y, bottom] = within(seen.top * scale + top, seen.bottom * scale + top, height);
      const hole = `M${x} ${y}V${bottom}H${right}V${y}z`;
      sight.current?.setAttribute("d", `M0 0H${width}V${height}H0z${hole}`);
      frame.current?.setAttribute("d", hole);
    }
    follow();
    return viewport.onMove(follow);
  }, [viewport, scale, left, top, width, height]);

  function lead(event: PointerEvent<SVGSVGElement>) {
    if (event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    event.currentTarget.setPointerCapture(event.pointerId);
    viewport.centre(
      {
        x: (event.clientX - box.left - left) / scale,
        y: (event.clientY - box.top - top) / scale,
      },
      viewport.view.zoom,
      0,
    );
  }

  return (
    <svg
      className="tree-map"
      width={width}
      height={height}
      role="img"
      aria-label="The whole tree"
      onPointerDown={lead}
      onPointerMove={lead}
      onWheel={(event) => viewport.zoomBy(event.deltaY > 0 ? 0.87 : 1.15, 0)}
    >
      {shapes(placed, marks, scale, left, top).map(([tone, path]) => (
        <path key={tone} className={`tone-${tone}`} d={path} />
      ))}
      <path className="sight" ref={sight} fillRule="evenodd" />
      <path className="frame" ref={frame} />
    </svg>
  );
});

/** What is in sight, on the map, and never so small that it cannot be found. */
function within(from: number, to: number, size: number): [number, number] {
  const more = Math.max(0, LEAST - (to - from)) / 2;
  const start = Math.max(1, Math.min(size - 1 - LEAST, from - more));
  return [start, Math.max(start + LEAST, Math.min(size - 1, to + more))];
}

/** Small rectangles, all of one tone as one path. */
function shapes(
  placed: Placed[],
  marks: Map<string, Mark> | undefined,
  scale: number,
  left: number,
  top: number,
): [string, string][] {
  const paths = new Map<string, string>();
  const width = Math.max(1.2, CARD.width * scale);
  const height = Math.max(0.6, CARD.height * scale);
  for (const { node, x, y } of placed) {
    const tone = toneOf(marks?.get(node.path)?.status ?? "");
    const at = `M${(x * scale + left).toFixed(1)} ${(y * scale + top).toFixed(1)}`;
    const one = `${at}h${width.toFixed(1)}v${height.toFixed(1)}h-${width.toFixed(1)}z`;
    paths.set(tone, (paths.get(tone) ?? "") + one);
  }
  return [...paths];
}
