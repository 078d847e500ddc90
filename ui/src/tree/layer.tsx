/** What moves when one pans and zooms: the dots of the ground, lines, and cards, as far as they are seen. */

import { memo, useLayoutEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { Card } from "./card";
import { boxOf, type Direction, type Placed } from "./layout";
import { Lines } from "./lines";
import { type Mark, NO_MARK } from "./mark";
import { isWithin, type Viewport } from "./viewport";

/** Up to that many cards are all drawn, wherever one looks. */
const FEW = 60;
/** How far the dots of the ground are from each other. */
const DOTS = 20;

export const Layer = memo(function Layer({
  viewport,
  placed,
  marks,
  direction,
  selected,
  dropAt,
  found,
  isDraggable,
  help,
}: {
  viewport: Viewport;
  placed: Placed[];
  marks: Map<string, Mark> | undefined;
  direction: Direction;
  selected: string | null;
  dropAt: string | null;
  found: string[];
  isDraggable: boolean;
  help: string;
}) {
  const layer = useRef<HTMLDivElement>(null);
  const dots = useRef<HTMLDivElement>(null);
  const { area, detail } = useSyncExternalStore(viewport.onScene, () => viewport.scene);
  useLayoutEffect(() => {
    function follow() {
      const { view, isMoving } = viewport;
      // At rest it stands on whole pixels, where letters are sharp.
      const [x, y] = isMoving ? [view.x, view.y] : [Math.round(view.x), Math.round(view.y)];
      if (layer.current) {
        layer.current.style.transform = `translate(${x}px, ${y}px) scale(${view.zoom})`;
        layer.current.classList.toggle("moving", isMoving);
      }
      if (dots.current) {
        // Seen from far away there would be too many.
        let gap = DOTS * view.zoom;
        while (gap < DOTS * 0.7) gap *= 2;
        dots.current.style.transform = `translate(${x % gap}px, ${y % gap}px)`;
        const size = `${gap}px ${gap}px`;
        if (dots.current.style.backgroundSize !== size) dots.current.style.backgroundSize = size;
      }
    }
    follow();
    return viewport.onMove(follow);
  }, [viewport]);
  const isFound = useMemo(() => new Set(found), [found]);
  const isFew = placed.length <= FEW;
  const chosen = placed.find(({ node }) => node.path === selected) ?? placed[0];
  return (
    <>
      <div className="dots" ref={dots} />
      <div className={`layer tells-${detail}`} ref={layer}>
        <Lines placed={placed} marks={marks} direction={direction} area={area} />
        {placed.map((one) => {
          const { node, parent, x, y } = one;
          const { path } = node;
          if (!isFew && path !== selected && parent && !isWithin(boxOf(one), area)) return null;
          return (
            <Card
              key={path}
              node={node}
              mark={marks?.get(path) ?? NO_MARK}
              x={x}
              y={y}
              detail={detail}
              isRoot={parent === null}
              isSelected={path === selected}
              isEntry={one === chosen}
              isDropTarget={path === dropAt}
              isDraggable={isDraggable && parent !== null}
              isFound={isFound.has(path)}
              help={help}
            />
          );
        })}
      </div>
    </>
  );
});
