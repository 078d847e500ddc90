/** A tree, drawn: pan, zoom, and walk through it with the arrow keys. */

import {
  Background,
  BackgroundVariant,
  type Edge,
  Handle,
  MiniMap,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import {
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { Icon } from "../parts/icons";
import { StatusSign, toneOf, wordOf } from "../parts/status";
import { Countdown } from "../parts/time";
import { useTheme } from "../theme";
import { FindBar, isSought } from "./find";
import { iconOf } from "./kinds";
import { type Direction, layout, type Placed } from "./layout";
import type { OutlineNode } from "./outline";

export const CARD = { width: 236, height: 62 };
const DIRECTION = "hub.direction";

/** What is known of a node beside its definition. */
export interface Mark {
  status?: string | undefined;
  /** When what it waits for is over. */
  until?: string | null | undefined;
  /** The run's own time, where that is not the clock on the wall. */
  now?: number | undefined;
  note?: string | undefined;
  fault?: { severity: "error" | "warning"; message: string } | undefined;
}

interface CardData extends Record<string, unknown> {
  node: OutlineNode;
  mark: Mark;
  direction: Direction;
  isRoot: boolean;
  isDropTarget: boolean;
  isDraggable: boolean;
  isFound: boolean;
}

type CardNode = Node<CardData, "card">;

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
      <Drawing {...props} />
    </ReactFlowProvider>
  );
}

function rememberedDirection(): Direction {
  try {
    return localStorage.getItem(DIRECTION) === "down" ? "down" : "across";
  } catch {
    return "across";
  }
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
  const flow = useReactFlow<CardNode>();
  const frame = useRef<HTMLDivElement>(null);
  const [direction, setDirection] = useState<Direction>(rememberedDirection);
  const [dropAt, setDropAt] = useState<string | null>(null);
  const [sought, setSought] = useState<string | null>(null);
  const theme = useTheme();
  const placed = useMemo(() => layout(roots, direction, CARD), [roots, direction]);
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
  const drawn = useRef(new Map<string, CardNode>());
  const nodes = useMemo<CardNode[]>(() => {
    const before = drawn.current;
    const isFound = new Set(found);
    const all = placed.map((one) => {
      const { node, parent } = one;
      const path = node.path;
      const mark = marks?.get(path) ?? NO_MARK;
      const made = cardOf(one, {
        node,
        mark,
        direction,
        isRoot: parent === null,
        isDropTarget: dropAt === path,
        isDraggable: !!onDragCard && parent !== null,
        isFound: isFound.has(path),
      });
      made.selected = path === selected;
      // What has not changed keeps its identity, so that it is not drawn again.
      const old = before.get(path);
      return old && isSameCard(old, made) ? old : made;
    });
    drawn.current = new Map(all.map((one) => [one.id, one]));
    return all;
  }, [placed, marks, selected, direction, dropAt, onDragCard, found]);
  const lines = useRef(new Map<string, Edge>());
  const edges = useMemo<Edge[]>(() => {
    const before = lines.current;
    const all = placed.flatMap(({ node, parent }) => {
      if (!parent) return [];
      const status = marks?.get(node.path)?.status;
      const className = status && status !== "pending" ? `reached tone-${toneOf(status)}` : "";
      const id = `${parent.path} ${node.path}`;
      const old = before.get(id);
      return [old?.className === className ? old : lineOf(id, parent, node, className)];
    });
    lines.current = new Map(all.map((one) => [one.id, one]));
    return all;
  }, [placed, marks]);

  const hasFocus = useRef(false);
  /** The size of the plane; to ask the document each time would make it lay everything out. */
  const size = useRef({ width: 0, height: 0 });
  const show = useCallback(
    (isSmooth: boolean) => fit(flow, size.current, placed, isSmooth ? 220 : 0),
    [flow, placed],
  );
  // The whole tree is shown when it is opened or turned, not at each change of it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: as said above
  useEffect(() => {
    const timer = window.setTimeout(() => show(false), 0);
    return () => window.clearTimeout(timer);
  }, [direction, roots.length === 0]);
  // In a window of another size it is shown whole again, unless one has moved it oneself.
  const isMoved = useRef(false);
  const showAgain = useRef(show);
  showAgain.current = show;
  useEffect(() => {
    const plane = frame.current?.querySelector(".canvas-plane");
    if (!plane) return;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) size.current = entry.contentRect;
      if (!isMoved.current) showAgain.current(false);
    });
    watch.observe(plane);
    return () => watch.disconnect();
  }, []);
  // When the tree has changed its shape, what is selected stays in sight.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the shape changes
  useEffect(() => {
    keepInSight(flow, size.current, placed, selected);
    // The focus goes with what is selected, also when the card that had it is gone, so that the
    // next key finds its way. A new card may take some frames to be there.
    let frames = 60;
    let waiting = 0;
    function follow() {
      const at = document.activeElement;
      const isOnCards = at === document.body || !!at?.classList.contains("react-flow__node");
      if (!selected || !hasFocus.current || !isOnCards) return;
      if (!focusOn(selected) && frames-- > 0) waiting = requestAnimationFrame(follow);
    }
    follow();
    return () => cancelAnimationFrame(waiting);
  }, [shape, selected]);

  function turn() {
    const next = direction === "across" ? "down" : "across";
    setDirection(next);
    try {
      localStorage.setItem(DIRECTION, next);
    } catch {
      // The choice lasts as long as the page.
    }
  }

  function focusOn(path: string): boolean {
    const card = frame.current?.querySelector<HTMLElement>(
      `.react-flow__node[data-id="${CSS.escape(path)}"]`,
    );
    card?.focus({ preventScroll: true });
    return !!card;
  }

  function onKeyDown(event: KeyboardEvent) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
      event.preventDefault();
      event.stopPropagation();
      setSought(sought ?? "");
      return;
    }
    const zoom = ZOOMS[event.key];
    if (zoom && !(event.target as Element).closest("input, select, textarea")) {
      event.preventDefault();
      if (zoom === "in") flow.zoomIn({ duration: 120 });
      else if (zoom === "out") flow.zoomOut({ duration: 120 });
      else show(true);
      return;
    }
    const step = neighbour(event.key, direction, placed, selected);
    if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
      onSelect(step);
      focusOn(step);
      return;
    }
    onKey?.(event, selected);
  }

  return (
    <div
      className={`canvas ${direction}`}
      ref={frame}
      onKeyDown={onKeyDown}
      onFocus={() => {
        hasFocus.current = true;
      }}
      onBlur={(event) => {
        const next = event.relatedTarget;
        if (next && !frame.current?.contains(next)) hasFocus.current = false;
      }}
      onCopy={(event) => onClipboard?.(event, selected)}
      onCut={(event) => onClipboard?.(event, selected)}
      onPaste={(event) => onClipboard?.(event, selected)}
      onDragStart={(event) => {
        const path = pathUnder(event.target);
        if (path && onDragCard) onDragCard(path, event.dataTransfer);
      }}
      role="group"
      aria-label={label}
    >
      <div className="canvas-bar">
        {tools}
        <span className="grow" />
        <button
          type="button"
          className="icon-button"
          onClick={() => setSought(sought === null ? "" : null)}
          aria-label="Find"
          aria-pressed={sought !== null}
          title="Find (Ctrl F)"
        >
          <Icon name="search" />
        </button>
        <button
          type="button"
          className="icon-button"
          onClick={turn}
          aria-label={direction === "across" ? "Lay out downwards" : "Lay out across"}
          title={direction === "across" ? "Lay out downwards" : "Lay out across"}
        >
          <Icon name={direction === "across" ? "downward" : "across"} />
        </button>
        <button
          type="button"
          className="icon-button"
          onClick={() => {
            isMoved.current = false;
            show(true);
          }}
          aria-label="Show all"
          title="Show all"
        >
          <Icon name="fit" />
        </button>
      </div>
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
        <ReactFlow<CardNode>
          nodes={nodes}
          edges={edges}
          nodeTypes={KINDS}
          colorMode={theme}
          onNodeClick={(_, node) => onSelect(node.id)}
          onPaneClick={() => onSelect(null)}
          onMoveStart={(event) => {
            if (event) isMoved.current = true;
          }}
          onNodesChange={(changes) => {
            for (const change of changes) {
              if (change.type === "select" && change.selected) onSelect(change.id);
            }
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
          onlyRenderVisibleElements={placed.length > 120}
          nodesDraggable={false}
          nodesConnectable={false}
          elementsSelectable
          edgesFocusable={false}
          deleteKeyCode={null}
          multiSelectionKeyCode={null}
          selectionKeyCode={null}
          minZoom={0.1}
          maxZoom={1.6}
          panOnScroll
          zoomOnDoubleClick={false}
          proOptions={{ hideAttribution: true }}
          ariaLabelConfig={{
            "node.a11yDescription.default": "Arrow keys go from node to node.",
            "node.a11yDescription.keyboardDisabled": "Arrow keys go from node to node.",
          }}
        >
          <Background variant={BackgroundVariant.Dots} gap={20} size={1.2} />
          {placed.length > 14 && (
            <MiniMap
              pannable
              zoomable
              ariaLabel="The whole tree"
              nodeClassName={(node: CardNode) => `mini tone-${toneOf(node.data.mark.status ?? "")}`}
              nodeBorderRadius={10}
            />
          )}
        </ReactFlow>
      </div>
      {foot && <div className="canvas-foot">{foot}</div>}
    </div>
  );
}

const NO_MARK: Mark = {};
const ZOOMS: Record<string, "in" | "out" | "all"> = {
  "+": "in",
  "=": "in",
  "-": "out",
  "0": "all",
};

function cardOf({ node, x, y }: Placed, data: CardData): CardNode {
  const isAcross = data.direction === "across";
  return {
    // Told beforehand, or each card would be drawn once out of sight to be measured.
    handles: [
      isAcross
        ? { type: "target", position: Position.Left, x: 0, y: CARD.height / 2 }
        : { type: "target", position: Position.Top, x: CARD.width / 2, y: 0 },
      isAcross
        ? { type: "source", position: Position.Right, x: CARD.width, y: CARD.height / 2 }
        : { type: "source", position: Position.Bottom, x: CARD.width / 2, y: CARD.height },
    ],
    id: node.path,
    type: "card",
    position: { x, y },
    width: CARD.width,
    height: CARD.height,
    data,
    draggable: false,
    connectable: false,
    ariaLabel: described(node, data.mark),
  };
}

function lineOf(id: string, from: OutlineNode, to: OutlineNode, className: string): Edge {
  return {
    id,
    source: from.path,
    target: to.path,
    type: "smoothstep",
    pathOptions: { borderRadius: 10, offset: 14 },
    focusable: false,
    className,
  } as Edge;
}

function isSameCard(one: CardNode, other: CardNode): boolean {
  return (
    one.selected === other.selected &&
    one.position.x === other.position.x &&
    one.position.y === other.position.y &&
    one.ariaLabel === other.ariaLabel &&
    isSameFlat(one.data, other.data, ["node", "mark"]) &&
    isSameFlat(one.data.node, other.data.node, ["place", "children"]) &&
    one.data.node.children.length === other.data.node.children.length &&
    isSameFlat(one.data.mark, other.data.mark, ["fault"]) &&
    one.data.mark.fault?.message === other.data.mark.fault?.message &&
    one.data.mark.fault?.severity === other.data.mark.fault?.severity
  );
}

function isSameFlat(one: object, other: object, but: string[]): boolean {
  const [a, b] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => but.includes(key) || a[key] === b[key]);
}

function described(node: OutlineNode, mark: Mark): string {
  return [
    node.slot,
    node.label,
    node.summary,
    mark.status && wordOf(mark.status),
    mark.fault?.message,
  ]
    .filter(Boolean)
    .join(", ");
}

function pathUnder(target: EventTarget): string | null {
  const card = (target as Element).closest?.(".react-flow__node");
  return card instanceof HTMLElement ? (card.dataset.id ?? null) : null;
}

function within(event: DragEvent): { x: number; y: number } {
  const card = (event.target as Element).closest(".react-flow__node")?.getBoundingClientRect();
  if (!card) return { x: 0.5, y: 1 };
  return {
    x: (event.clientX - card.left) / card.width,
    y: (event.clientY - card.top) / card.height,
  };
}

type Flow = ReturnType<typeof useReactFlow<CardNode>>;

/** Everything in view, but never so small that it cannot be read: a large tree shows its beginning. */
function fit(
  flow: Flow,
  { width, height }: { width: number; height: number },
  placed: Placed[],
  duration: number,
): void {
  if (width === 0 || placed.length === 0) return;
  const left = Math.min(...placed.map((one) => one.x));
  const top = Math.min(...placed.map((one) => one.y));
  const right = Math.max(...placed.map((one) => one.x)) + CARD.width;
  const bottom = Math.max(...placed.map((one) => one.y)) + CARD.height;
  const margin = 28;
  const whole = Math.min(
    (width - 2 * margin) / (right - left),
    (height - 2 * margin) / (bottom - top),
  );
  const zoom = Math.min(1, Math.max(0.5, whole));
  const isWhole = whole >= zoom;
  const root = placed[0];
  const x = isWhole || !root ? (width - (left + right) * zoom) / 2 : margin - left * zoom;
  const middle = root ? root.y + CARD.height / 2 : (top + bottom) / 2;
  const y = isWhole ? (height - (top + bottom) * zoom) / 2 : height / 2 - middle * zoom;
  flow.setViewport({ x, y, zoom }, { duration });
}

function keepInSight(
  flow: Flow,
  { width, height }: { width: number; height: number },
  placed: Placed[],
  path: string | null,
): void {
  const one = placed.find(({ node }) => node.path === path);
  if (width === 0 || !one) return;
  const { x, y, zoom } = flow.getViewport();
  const left = one.x * zoom + x;
  const top = one.y * zoom + y;
  const margin = 16;
  let dx = 0;
  let dy = 0;
  if (left < margin) dx = margin - left;
  else if (left + CARD.width * zoom > width - margin) {
    dx = width - margin - left - CARD.width * zoom;
  }
  if (top < margin) dy = margin - top;
  else if (top + CARD.height * zoom > height - margin) {
    dy = height - margin - top - CARD.height * zoom;
  }
  if (dx || dy) flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: 160 });
}

/** The node that an arrow key leads to: to the parent, the first child, or a neighbour of its level. */
function neighbour(
  key: string,
  direction: Direction,
  placed: Placed[],
  selected: string | null,
): string | null {
  const keys =
    direction === "across"
      ? { ArrowLeft: "up", ArrowRight: "in", ArrowUp: "before", ArrowDown: "after" }
      : { ArrowUp: "up", ArrowDown: "in", ArrowLeft: "before", ArrowRight: "after" };
  const way = (keys as Record<string, string>)[key];
  if (!way) return null;
  const here = placed.find(({ node }) => node.path === selected);
  if (!here) return placed[0]?.node.path ?? null;
  if (way === "up") return here.parent?.path ?? null;
  if (way === "in") return here.node.children[0]?.path ?? null;
  const level = placed
    .filter(({ x, y }) => (direction === "across" ? x === here.x : y === here.y))
    .sort((a, b) => (direction === "across" ? a.y - b.y : a.x - b.x));
  const at = level.indexOf(here);
  return level[at + (way === "after" ? 1 : -1)]?.node.path ?? null;
}

const Card = memo(function Card({ data, selected }: NodeProps<CardNode>) {
  const { node, mark, direction, isRoot, isDropTarget, isDraggable, isFound } = data;
  const tone = mark.status ? `tone-${toneOf(mark.status)}` : `group-${node.group}`;
  const [enter, leave] =
    direction === "across" ? [Position.Left, Position.Right] : [Position.Top, Position.Bottom];
  return (
    <div
      className={[
        "card-node",
        tone,
        mark.status ? `is-${mark.status}` : "",
        selected ? "selected" : "",
        mark.fault ? `fault-${mark.fault.severity}` : "",
        isDropTarget ? "drop" : "",
        isFound ? "found" : "",
        isDraggable ? "nopan" : "",
      ].join(" ")}
      draggable={isDraggable}
      title={mark.fault?.message}
    >
      {!isRoot && <Handle type="target" position={enter} isConnectable={false} />}
      {node.slot && <span className="slot">{node.slot}</span>}
      <span className="card-icon">
        <Icon name={isRoot ? "events" : iconOf(node.verb)} size={17} />
      </span>
      <span className="card-text">
        <span className="card-label clip">{node.label}</span>
        {mark.status ? (
          <span className="card-status">
            <StatusSign status={mark.status} size={13} />
            <span className="clip">
              {wordOf(mark.status)}
              {mark.note ? ` ${mark.note}` : ""}
            </span>
            {mark.until && (
              <span className="card-until">
                <Countdown until={mark.until} from={mark.now} />
              </span>
            )}
          </span>
        ) : (
          <span className="card-summary clip">{node.summary}</span>
        )}
      </span>
      {mark.fault && (
        <span className={`card-fault ${mark.fault.severity}`}>
          <Icon name="alert" size={14} />
        </span>
      )}
      {node.children.length > 0 && <Handle type="source" position={leave} isConnectable={false} />}
    </div>
  );
});

const KINDS = { card: Card };
