/** A tree, drawn: pan, zoom, and walk through it with the arrow keys. */

import {
  Background,
  BackgroundVariant,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import {
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  type ReactNode,
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import "../style/canvas.css";
import { Bar } from "./bar";
import { Card, type CardNode, cardOf } from "./card";
import { Details, useDetail } from "./detail";
import { FindBar, isSought } from "./find";
import { Ground, type GroundNode, groundOf } from "./ground";
import { neighbour, ZOOMS } from "./keyboard";
import { boxAround, CARD, type Direction, layout, type Point } from "./layout";
import { TreeMap } from "./map";
import { type Mark, NO_MARK } from "./mark";
import type { OutlineNode } from "./outline";
import { LARGEST, lasting, View } from "./view";

const DIRECTION = "hub.direction";
/** Up to that many cards are all drawn, wherever one looks. */
const FEW = 60;
/** From that many on, there is a map of the whole. */
const MANY = 14;
/** How far the dots of the ground are from each other. */
const DOTS = 20;
const KINDS = { card: Card, ground: Ground };
const NO_CARDS: CardNode[] = [];
const PRO_OPTIONS = { hideAttribution: true };
/** Pixels before a press that moves is no click any more. */
const SLACK = 4;

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

export function Canvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <Details>
        <Drawing {...props} />
      </Details>
    </ReactFlowProvider>
  );
}

function Drawing({
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
  const flow = useReactFlow();
  const [view] = useState(() => new View(flow));
  const frame = useRef<HTMLDivElement>(null);
  const plane = useRef<HTMLDivElement>(null);
  const [direction, setDirection] = useState<Direction>(rememberedDirection);
  const [dropAt, setDropAt] = useState<string | null>(null);
  const [sought, setSought] = useState<string | null>(null);
  const [least, setLeast] = useState(0.25);
  // A finger on a card moves the ground; a mouse takes the card along.
  const [isTouched, setTouched] = useState(false);
  const isFar = useDetail() === "colour";
  const help = useId();
  const placed = useMemo(() => layout(roots, direction), [roots, direction]);
  const whole = useMemo(() => boxAround(placed), [placed]);
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
  const before = useRef(new Map<string, CardNode>());
  const cards = useMemo(() => {
    const isFound = new Set(found);
    const chosen = placed.find(({ node }) => node.path === selected) ?? placed[0];
    const all = placed.map((one) => {
      const { node, parent } = one;
      const { path } = node;
      return cardOf(
        one,
        {
          node,
          mark: marks?.get(path) ?? NO_MARK,
          isRoot: parent === null,
          isDropTarget: path === dropAt,
          isDraggable: !!onDragCard && parent !== null,
          isFound: isFound.has(path),
        },
        { isSelected: path === selected, isEntry: one === chosen, help },
        before.current.get(path),
      );
    });
    before.current = new Map(all.map((one) => [one.id, one]));
    return all;
  }, [placed, marks, selected, dropAt, onDragCard, found, help]);
  const boxes = isFar ? cards : NO_CARDS;
  const ground = useMemo(
    () => groundOf({ placed, marks, direction, whole, boxes }),
    [placed, marks, direction, whole, boxes],
  );
  // From far away there are too many cards for each to be a node of its own.
  const nodes = useMemo<(CardNode | GroundNode)[]>(
    () => [ground, ...(isFar ? cards.map(hidden) : cards)],
    [ground, cards, isFar],
  );

  function spotOf(path: string | null): Point | undefined {
    return placed.find(({ node }) => node.path === path);
  }
  function reveal(path: string | null) {
    const spot = spotOf(path);
    if (spot) view.reveal(spot);
  }
  const keep = useRef(() => {});
  keep.current = () => reveal(selected);
  const open = useRef(() => {});
  open.current = () => {
    const [root] = placed;
    if (root) view.open(root, direction);
  };
  // In a window of another size it is shown as before, unless one has moved it oneself.
  const way = useRef<"opened" | "whole" | "moved">("opened");
  const moved = useCallback(() => {
    way.current = "moved";
    view.stop();
  }, [view]);
  const lead = useCallback(
    (point: Point) => {
      moved();
      view.centre(point, 0);
    },
    [view, moved],
  );
  const zoomBy = useCallback(
    (factor: number, duration = 0) => {
      moved();
      flow.zoomTo(flow.getZoom() * factor, { duration: lasting(duration) });
    },
    [flow, moved],
  );
  useEffect(() => {
    view.whole = whole;
    setLeast(view.least());
  }, [view, whole]);
  useEffect(() => {
    const ground = plane.current;
    if (!ground) return;
    view.size = ground.getBoundingClientRect();
    setLeast(view.least());
    const watch = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const wasHidden = view.size.width === 0;
      view.size = entry.contentRect;
      setLeast(view.least());
      if (way.current === "whole") view.showAll(0);
      else if (way.current === "opened" && (wasHidden || view.isLegible())) open.current();
      else keep.current();
    });
    watch.observe(ground);
    return () => {
      watch.disconnect();
      view.stop();
    };
  }, [view]);
  // It is opened when it comes and when it is turned, not at each change of it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: as said above
  useEffect(() => {
    way.current = "opened";
    open.current();
  }, [direction, roots.length === 0]);

  const hasFocus = useRef(false);
  /** The card that has the focus, or had it until it went. */
  const focused = useRef<string | null>(null);
  // When the tree has changed its shape, what is selected stays in sight, and the focus goes with
  // it, also when the card that had it is gone, so that the next key finds its way.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the shape changes
  useEffect(() => {
    reveal(selected);
    focused.current = selected;
    return focusAgain();
  }, [shape, selected]);
  // Cards that become boxes, or boxes cards, have not been left by whoever walks on them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when they become others
  useEffect(() => focusAgain(), [isFar]);

  /** React Flow draws what it is given here after this, so the focus waits for that. */
  function focusAgain(): () => void {
    let isStill = true;
    queueMicrotask(() => {
      const at = document.activeElement;
      const isOnCards = at === document.body || !!at?.classList.contains("node");
      if (isStill && focused.current && hasFocus.current && isOnCards) focusOn(focused.current);
    });
    return () => {
      isStill = false;
    };
  }

  function focusOn(path: string) {
    frame.current
      ?.querySelector<HTMLElement>(`.node[data-id="${CSS.escape(path)}"]`)
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
    view.showAll(220);
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
      if (zoom === "all") showAll();
      else zoomBy(zoom === "in" ? 1.25 : 0.8, 120);
      return;
    }
    const step = isPlain && neighbour(event.key, direction, placed, selected);
    if (step && target.closest(".canvas-plane")) {
      event.preventDefault();
      event.stopPropagation();
      onSelect(step);
      return;
    }
    const at = target.classList.contains("node") ? pathUnder(target) : null;
    if (at && at !== selected && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.stopPropagation();
      onSelect(at);
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
        if (!target.classList.contains("node")) return;
        focused.current = pathUnder(target);
        if (target.matches(":focus-visible")) reveal(focused.current);
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
      <div className="canvas-plane" ref={plane}>
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
        <ReactFlow<CardNode | GroundNode>
          nodes={nodes}
          nodeTypes={KINDS}
          onNodeClick={(event) => {
            const path = pathUnder(event.target);
            onSelect(path);
            const spot = spotOf(path);
            if (!spot || !isFar) return;
            // What is too small to be read is gone to.
            moved();
            view.centre({ x: spot.x + CARD.width / 2, y: spot.y + CARD.height / 2 }, 220, 1);
          }}
          onPaneClick={() => onSelect(null)}
          onMoveStart={(event) => {
            if (event) moved();
            plane.current?.classList.add("moving");
          }}
          onMove={(event) => {
            if (event) moved();
          }}
          onMoveEnd={() => plane.current?.classList.remove("moving")}
          onPointerDownCapture={(event) => {
            setTouched(event.pointerType === "touch");
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
          onlyRenderVisibleElements={placed.length > FEW}
          minZoom={least}
          maxZoom={LARGEST}
          panOnScroll
          panOnScrollSpeed={1}
          paneClickDistance={SLACK}
          zoomOnDoubleClick={false}
          zoomActivationKeyCode="Meta"
          panActivationKeyCode={null}
          deleteKeyCode={null}
          multiSelectionKeyCode={null}
          selectionKeyCode={null}
          noPanClassName={isTouched ? "none" : "nopan"}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          elementsSelectable={false}
          disableKeyboardA11y
          proOptions={PRO_OPTIONS}
        >
          <Dots />
          {placed.length > MANY && (
            <TreeMap placed={placed} marks={marks} whole={whole} onPoint={lead} onZoom={zoomBy} />
          )}
        </ReactFlow>
      </div>
      {foot && <div className="canvas-foot">{foot}</div>}
    </div>
  );
}

/** The dots of the ground: seen from far away there would be too many. */
function Dots() {
  const gap = useStore(({ transform }) => {
    let gap = DOTS;
    while (gap * transform[2] < DOTS * 0.7) gap *= 2;
    return gap;
  });
  return <Background variant={BackgroundVariant.Dots} gap={gap} size={gap * 0.12} />;
}

function hidden(card: CardNode): CardNode {
  return { ...card, hidden: true };
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
  return card instanceof HTMLElement ? (card.dataset.id ?? null) : null;
}

function within(event: DragEvent): { x: number; y: number } {
  const card = (event.target as Element).closest(".node")?.getBoundingClientRect();
  if (!card) return { x: 0.5, y: 1 };
  return {
    x: (event.clientX - card.left) / card.width,
    y: (event.clientY - card.top) / card.height,
  };
}
