/**
 * The whole drawing in a corner, with what is in sight of it; where one presses, one is led to. All
 * cards of one colour are one path: React Flow's own map has a component for each card, which is
 * the most of what going near and far costs.
 */

import { Panel, useStore } from "@xyflow/react";
import { memo, type PointerEvent, useMemo } from "react";
import { toneOf } from "../parts/status";
import { type Box, CARD, type Placed, type Point } from "./layout";
import type { Mark } from "./mark";

const EDGE = 8;
/** Pixels of what is in sight at least. */
const LEAST = 8;

/** A map has about the shape of what it shows. */
function sizeFor({ left, top, right, bottom }: Box): [number, number] {
  const shape = (right - left) / (bottom - top);
  if (shape < 0.5) return [76, 240];
  return shape > 2.5 ? [240, 76] : [180, 120];
}

export const TreeMap = memo(function TreeMap({
  placed,
  marks,
  whole,
  onPoint,
  onZoom,
}: {
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
  whole: Box;
  /** Called with the point of the drawing that one presses. */
  onPoint: (point: Point) => void;
  onZoom: (factor: number) => void;
}) {
  const [width, height] = sizeFor(whole);
  const scale = Math.min(
    (width - 2 * EDGE) / (whole.right - whole.left),
    (height - 2 * EDGE) / (whole.bottom - whole.top),
  );
  // The point of the drawing that is in the map's corner.
  const left = (whole.left + whole.right - width / scale) / 2;
  const top = (whole.top + whole.bottom - height / scale) / 2;

  function lead(event: PointerEvent<SVGSVGElement>) {
    if (event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    event.currentTarget.setPointerCapture(event.pointerId);
    onPoint({
      x: left + (event.clientX - box.left) / scale,
      y: top + (event.clientY - box.top) / scale,
    });
  }

  return (
    <Panel position="bottom-right" className="tree-map">
      <svg
        width={width}
        height={height}
        viewBox={`${left} ${top} ${width / scale} ${height / scale}`}
        role="img"
        aria-label="The whole tree"
        onPointerDown={lead}
        onPointerMove={lead}
        onWheel={(event) => onZoom(event.deltaY > 0 ? 0.87 : 1.15)}
      >
        <Shapes placed={placed} marks={marks} />
        <Sight
          left={left}
          top={top}
          right={left + width / scale}
          bottom={top + height / scale}
          pixel={1 / scale}
        />
      </svg>
    </Panel>
  );
});

/** Small rectangles, all of one tone as one path. */
const Shapes = memo(function Shapes({
  placed,
  marks,
}: {
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
}) {
  const paths = useMemo(() => {
    const paths = new Map<string, string>();
    for (const { node, x, y } of placed) {
      const tone = toneOf(marks?.get(node.path)?.status ?? "");
      const one = `M${x} ${y}h${CARD.width}v${CARD.height}h-${CARD.width}z`;
      paths.set(tone, (paths.get(tone) ?? "") + one);
    }
    return [...paths];
  }, [placed, marks]);
  return paths.map(([tone, path]) => <path key={tone} className={`tone-${tone}`} d={path} />);
});

/** What is not in sight, veiled. `pixel`: the length of one on the screen. */
function Sight({ left, top, right, bottom, pixel }: Box & { pixel: number }) {
  const hole = useStore(({ transform: [x, y, zoom], width, height }) => {
    const [west, east] = within(-x / zoom, (width - x) / zoom, left, right, pixel);
    const [north, south] = within(-y / zoom, (height - y) / zoom, top, bottom, pixel);
    return `M${west} ${north}V${south}H${east}V${north}z`;
  });
  return (
    <>
      <path
        className="sight"
        fillRule="evenodd"
        d={`M${left} ${top}H${right}V${bottom}H${left}z${hole}`}
      />
      <path className="frame" d={hole} />
    </>
  );
}

/** What is in sight, on the map, and never so small that it cannot be found. */
function within(
  from: number,
  to: number,
  start: number,
  end: number,
  pixel: number,
): [number, number] {
  const least = LEAST * pixel;
  const more = Math.max(0, least - (to - from)) / 2;
  const first = Math.max(start + pixel, Math.min(end - pixel - least, from - more));
  return [first, Math.max(first + least, Math.min(end - pixel, to + more))];
}
