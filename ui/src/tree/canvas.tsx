/** A tree, drawn: pan, zoom, and walk through it with the arrow keys. */

import {
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import "../style/canvas.css";
import { Bar } from "./bar";
import { FindBar, isSought } from "./find";
import { listen } from "./gestures";
import { neighbour, ZOOMS } from "./keyboard";
import { Layer } from "./layer";
import { boxAround, boxOf, CARD, type Direction, layout } from "./layout";
import { TreeMap } from "./map";
import type { Mark } from "./mark";
import type { OutlineNode } from "./outline";
import { Viewport } from "./viewport";

const DIRECTION = "hub.direction";
/** From that many on, there is a map of the whole. */
const MANY = 14;

export interface CanvasProps {
  roots: OutlineNode[];
  marks?: Map<string, Mark> | undefined;
  selected: string | null;
  onSelect: (path: string | null) => void;
  /** Further tools for the bar at the top. */
  tools?: ReactNode;
  foot?: ReactNode;
  label: string;
  onKey?: (event: KeyboardEvent, selected: string | null) => void;
  /** `at` is where on the card it was let go, from 0 to 1 both ways. */
  onDropOn?: ((path: string, data: DataTransfer, at: { x: number; y: number }) => void) | undefined;
  /** Cards can be taken along where this puts something into what is dragged. */
  onDragCard?: ((path: string, data: DataTransfer) => void) | undefined;
  onClipboard?: ((event: ClipboardEvent, selected: string | null) => void) | undefined;
  empty?: ReactNode;
}

export function Canvas({
  roots,
  marks,
  selected,
  onSelect,
  tools,
  foot,
  label,
  onKey,
  onDropOn,
  onDragCard,
  onClipboard,
  empty,
}: CanvasProps) {
  const [viewport] = useState(() => new Viewport());
  const frame = useRef<HTMLDivElement>(null);
  const plane = useRef<HTMLDivElement>(null);
  const [direction, setDirection] = useState<Direction>(rememberedDirection);
  const [dropAt, setDropAt] = useState<string | null>(null);
  const [sought, setSought] = useState<string | null>(null);
  const help = useId();
  const placed = useMemo(() => layout(roots, direction), [roots, direction]);
  const whole = useMemo(() => boxAround(placed), [placed]);
  viewport.hold(whole);
  const shape = useMemo(
    () => direction + placed.map(({ node }) => node.path).join("\n"),
    [placed, direction],
  );
  const found = useMemo(
    () =>
      sought === null
        ? []
        : placed.filter(({ node }) => isSought(node, sought)).map(({ node }) => node.path),
    [placed, sought],
  );

  function reveal(path: string | null) {
    const one = placed.find(({ node }) => node.path === path);
    if (one) viewport.reveal(boxOf(one));
  }
  const keep = useRef(() => {});
  keep.current = () => reveal(selected);
  const open = useRef(() => {});
  open.current = () => {
    const [root] = placed;
    if (root) viewport.open(boxOf(root), direction === "across");
  };
  // In a window of another size it is shown as before, unless one has moved it oneself.
  const way = useRef<"opened" | "whole" | "moved">("opened");
  useLayoutEffect(() => {
    const ground = plane.current;
    if (!ground) return;
    const { width, height } = ground.getBoundingClientRect();
    viewport.resize(width, height);
    const watch = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const wasHidden = viewport.size.width === 0;
      viewport.resize(entry.contentRect.width, entry.contentRect.height);
      if (way.current === "whole") viewport.showAll(0);
      else if (way.current === "opened" && (wasHidden || viewport.isLegible())) open.current();
      else keep.current();
    });
    watch.observe(ground);
    const ended = listen(ground, viewport, () => {
      way.current = "moved";
    });
    return () => {
      watch.disconnect();
      viewport.stop();
      ended();
    };
  }, [viewport]);
  // It is opened when it comes and when it is turned, not at each change of it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: as said above
  useLayoutEffect(() => {
    way.current = "opened";
    open.current();
  }, [direction, roots.length === 0]);

  const hasFocus = useRef(false);
  // When the tree has changed its shape, what is selected stays in sight, and the focus goes with
  // it, also when the card that had it is gone, so that the next key finds its way.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the shape changes
  useEffect(() => {
    reveal(selected);
    const at = document.activeElement;
    const isOnCards = at === document.body || !!at?.classList.contains("node");
    if (selected && hasFocus.current && isOnCards) focusOn(selected);
  }, [shape, selected]);

  function focusOn(path: string) {
    frame.current
      ?.querySelector<HTMLElement>(`.node[data-path="${CSS.escape(path)}"]`)
      ?.focus({ preventScroll: true });
  }

  function turn() {
    const next = direction === "across" ? "down" : "across";
    setDirection(next);
    try {
      localStorage.setItem(DIRECTION, next);
    } catch {
      // The choice lasts as long as the page.
    }
  }

  function showAll() {
    way.current = "whole";
    viewport.showAll(220);
  }

  function onKeyDown(event: KeyboardEvent) {
    const target = event.target as Element;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
      event.preventDefault();
      event.stopPropagation();
      setSought(sought ?? "");
      return;
    }
    const isPlain = !event.altKey && !event.ctrlKey && !event.metaKey;
    const zoom = ZOOMS[event.key];
    if (zoom && isPlain && !target.closest("input, select, textarea")) {
      event.preventDefault();
      way.current = "moved";
      if (zoom === "in") viewport.zoomBy(1.25, 120);
      else if (zoom === "out") viewport.zoomBy(0.8, 120);
      else showAll();
      return;
    }
    const step = isPlain && neighbour(event.key, direction, placed, selected);
    if (step && target.closest(".canvas-plane")) {
      event.preventDefault();
      event.stopPropagation();
      onSelect(step);
      return;
    }
    const focused = target.classList.contains("node") ? pathUnder(target) : null;
    if (focused && focused !== selected && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.stopPropagation();
      onSelect(focused);
      return;
    }
    onKey?.(event, selected);
  }

  return (
    <div
      className={`canvas ${direction}`}
      ref={frame}
      onKeyDown={onKeyDown}
      onFocus={(event) => {
        hasFocus.current = true;
        const { target } = event;
        if (target.classList.contains("node") && target.matches(":focus-visible")) {
          reveal(pathUnder(target));
        }
      }}
      onBlur={(event) => {
        const next = event.relatedTarget;
        if (next && !frame.current?.contains(next)) hasFocus.current = false;
      }}
      onCopy={(event) => onClipboard?.(event, selected)}
      onCut={(event) => onClipboard?.(event, selected)}
      onPaste={(event) => onClipboard?.(event, selected)}
      role="group"
      aria-label={label}
    >
      <Bar
        tools={tools}
        direction={direction}
        isFinding={sought !== null}
        onFind={() => setSought(sought === null ? "" : null)}
        onTurn={turn}
        onShowAll={showAll}
      />
      <div className="canvas-plane">
        {sought !== null && (
          <FindBar
            sought={sought}
            found={found}
            selected={selected}
            onSought={setSought}
            onSelect={onSelect}
            onClose={() => {
              setSought(null);
              if (selected) focusOn(selected);
            }}
          />
        )}
        {roots.length === 0 && empty}
        <span id={help} hidden>
          Arrow keys go from node to node.
        </span>
        {/* biome-ignore lint/a11y/noStaticElementInteractions: all of it is done by keys as well */}
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: Enter and the arrow keys choose */}
        <div
          className="plane"
          ref={plane}
          onClick={(event) => {
            const path = pathUnder(event.target);
            onSelect(path);
            const one = placed.find(({ node }) => node.path === path);
            if (!one || viewport.scene.detail !== "colour") return;
            // What is too small to be read is gone to.
            way.current = "moved";
            viewport.centre({ x: one.x + CARD.width / 2, y: one.y + CARD.height / 2 }, 1, 220);
          }}
          onDragStart={(event) => {
            const path = pathUnder(event.target);
            if (path && onDragCard) onDragCard(path, event.dataTransfer);
          }}
          onDragOver={(event) => {
            if (!onDropOn) return;
            const path = pathUnder(event.target);
            if (path) {
              event.preventDefault();
              event.dataTransfer.dropEffect = "copy";
            }
            if (path !== dropAt) setDropAt(path);
          }}
          onDragLeave={() => setDropAt(null)}
          onDrop={(event) => {
            setDropAt(null);
            const path = pathUnder(event.target);
            if (path && onDropOn) {
              event.preventDefault();
              onDropOn(path, event.dataTransfer, within(event));
            }
          }}
        >
          <Layer
            viewport={viewport}
            placed={placed}
            marks={marks}
            direction={direction}
            selected={selected}
            dropAt={dropAt}
            found={found}
            isDraggable={!!onDragCard}
            help={help}
          />
        </div>
        {placed.length > MANY && (
          <TreeMap viewport={viewport} placed={placed} marks={marks} whole={whole} />
        )}
      </div>
      {foot && <div className="canvas-foot">{foot}</div>}
    </div>
  );
}

function rememberedDirection(): Direction {
  try {
    return localStorage.getItem(DIRECTION) === "down" ? "down" : "across";
  } catch {
    return "across";
  }
}

function pathUnder(target: EventTarget): string | null {
  const card = (target as Element).closest?.(".node");
  return card instanceof HTMLElement ? (card.dataset.path ?? null) : null;
}

function within(event: DragEvent): { x: number; y: number } {
  const card = (event.target as Element).closest(".node")?.getBoundingClientRect();
  if (!card) return { x: 0.5, y: 1 };
  return {
    x: (event.clientX - card.left) / card.width,
    y: (event.clientY - card.top) / card.height,
  };
}
