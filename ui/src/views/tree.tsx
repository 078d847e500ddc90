/** One tree: its text and its drawing, side by side. The text is what counts. */

import {
  type ClipboardEvent,
  type KeyboardEvent,
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { stringify } from "yaml";
import { go, guardLeaving, treeAddress } from "../address";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Diagnostic, Json, Tree, VerbInfo } from "../api/types";
import {
  difference,
  duplicate,
  type Edited,
  insert,
  itemText,
  move,
  remove,
  setIn,
  withFreeIds,
  wrap,
} from "../editor/edits";
import { NodeForm } from "../editor/form";
import { DRAGGED_VERB, Palette } from "../editor/palette";
import { newItem, newTree, wrappings } from "../editor/pieces";
import {
  contentEnd,
  lineEnd,
  lineStart,
  nodeAt,
  placeAt,
  read,
  type Source,
} from "../editor/source";
import type { TextHandle } from "../editor/text";
import { TreeForm } from "../editor/tree-form";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Empty, Page, Panel, ProblemNote, Segments, Skeleton } from "../parts/parts";
import { Canvas, type Mark } from "../tree/canvas";
import {
  isObject,
  type OutlineNode,
  outline,
  type Place,
  pathOf,
  Words,
  walk,
} from "../tree/outline";

const Text = lazy(() => import("../editor/text"));
const DRAGGED_PATH = "application/x-hub-path";

export default function TreeView({ name, isNew }: { name: string; isNew: boolean }) {
  // A tree that was new when it was opened stays open once it is saved.
  const [began] = useState(isNew);
  const tree = useResource(`tree ${name}`, (signal) => hub.tree(name, signal));
  const triggers = useResource("triggers", hub.triggers);
  const webhook = triggers.data?.items.find((trigger) => trigger.kind === "webhook")?.name;
  if (tree.data) return <Editor key={name} tree={tree.data} reload={tree.refresh} />;
  if (began && tree.problem?.status === 404 && (triggers.data || triggers.problem)) {
    const draft: Tree = {
      name,
      hash: "",
      document: { tree: name },
      text: newTree(name, webhook),
      etag: null,
      writable: true,
    };
    return <Editor key={name} tree={draft} reload={tree.refresh} isNew />;
  }
  return (
    <Page title={name} above={<Link href="/trees">Trees</Link>}>
      <Panel>
        {tree.problem?.status === 404 && !began ? (
          <Empty icon="trees" title="The project has no such tree">
            <Link href="/trees">See its trees</Link>
          </Empty>
        ) : tree.problem && !began ? (
          <ProblemNote problem={tree.problem} retry={tree.refresh} />
        ) : (
          <Skeleton rows={10} />
        )}
      </Panel>
    </Page>
  );
}

type Shown = "both" | "drawing" | "text";

function Editor({
  tree,
  reload,
  isNew = false,
}: {
  tree: Tree;
  reload: () => void;
  isNew?: boolean;
}) {
  const hasText = typeof tree.text === "string";
  const written = useMemo(
    () => tree.text ?? stringify(tree.document, { lineWidth: 0 }),
    [tree.text, tree.document],
  );
  const isReadOnly = !hasText || !tree.writable;
  const [saved, setSaved] = useState({ text: isNew ? "" : written, etag: tree.etag ?? null });
  const [text, setText] = useState(written);
  const [selected, setSelected] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown>(isPhone() ? "drawing" : "both");
  const [isPalette, setPalette] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const editor = useRef<TextHandle>(null);
  const words = useWords();
  const source = useMemo(() => read(text), [text]);
  const drawn = useDrawn(source, words);
  const diagnostics = useDiagnostics(tree.name, source, hasText);
  const isChanged = text !== saved.text;
  const latest = useRef(text);
  latest.current = text;

  useEffect(() => {
    if (!isChanged || isReadOnly) return;
    return guardLeaving(() => confirm("Leave without saving what was changed?"));
  }, [isChanged, isReadOnly]);

  const nodes = useMemo(() => {
    const all = new Map<string, OutlineNode>();
    for (const root of drawn.roots) for (const node of walk(root)) all.set(node.path, node);
    return all;
  }, [drawn.roots]);
  const marks = useMemo(() => marksOf(diagnostics, nodes), [diagnostics, nodes]);
  const node = selected ? (nodes.get(selected) ?? null) : null;
  const events = Object.keys(isObject(source.value.events) ? source.value.events : {});

  const select = useCallback(
    (path: string | null, options: { scroll?: boolean } = { scroll: true }) => {
      setSelected(path);
      const current = read(latest.current);
      const place = path ? nodes.get(path)?.place : null;
      const found = place ? nodeAt(current, place) : null;
      const span = found?.range && place && place.length > 1 ? spanOf(current, found) : null;
      editor.current?.show(span, options);
    },
    [nodes],
  );

  /** Change the text as the canvas or a form wants it. */
  const apply = useCallback(
    (edited: Edited) => {
      if (isReadOnly || edited.text === latest.current) return;
      editor.current?.change(difference(latest.current, edited.text));
      setSelected(edited.place ? pathOf(edited.place) : null);
      setProblem(null);
    },
    [isReadOnly],
  );
  const isEditable = !isReadOnly && source.faults.length === 0;

  function add(info: VerbInfo, target: OutlineNode | null, at: { x: number; y: number } | null) {
    if (!isEditable) return;
    const [event] = events.filter((name) => name !== source.value.start);
    const spot = spotFor(target, at);
    const item = withFreeIds(source, newItem(info, event ?? events[0]));
    apply(insert(source, spot.list, spot.index, item));
    setNote(`${info.verb} added`);
  }

  function drop(path: string, data: DataTransfer, at: { x: number; y: number }) {
    const target = nodes.get(path);
    if (!target || !words || !isEditable) return;
    const verb = data.getData(DRAGGED_VERB);
    const dragged = nodes.get(data.getData(DRAGGED_PATH));
    const info = verb ? words.info(verb) : undefined;
    if (info) add(info, target, at);
    else if (dragged && dragged !== target) {
      const spot = spotFor(target, at);
      apply(move(source, dragged.place, spot.list, spot.index));
      setNote(`${dragged.label} moved`);
    }
  }

  function shift(by: -1 | 1) {
    const index = node?.place.at(-1);
    if (!node || typeof index !== "number") return;
    const list = node.place.slice(0, -1);
    const siblings = [...nodes.values()].filter(
      (one) =>
        one.place.length === node.place.length && pathOf(one.place.slice(0, -1)) === pathOf(list),
    ).length;
    const to = by < 0 ? index - 1 : index + 2;
    if (to < 0 || to > siblings) return;
    apply(move(source, node.place, list, to));
  }

  function wrapIn(verb: string) {
    const outer = words && wrappings(words.language.verbs).get(verb);
    if (node && outer && isEditable) apply(wrap(source, node.place, outer));
  }

  function onKey(event: KeyboardEvent) {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const done = () => {
      event.preventDefault();
      event.stopPropagation();
    };
    const target = event.target as HTMLElement;
    if (command && key === "s") {
      done();
      // What is being typed into a form counts, too.
      if (target.closest(".editor-form")) target.blur();
      save();
      return;
    }
    if (target.closest("input, textarea, select, .cm-editor")) return;
    if (command && key === "z") {
      done();
      if (event.shiftKey) editor.current?.redo();
      else editor.current?.undo();
    } else if (command && key === "y") {
      done();
      editor.current?.redo();
    } else if (!isEditable) {
      return;
    } else if (
      node &&
      node.place.length > 1 &&
      (event.key === "Delete" || event.key === "Backspace")
    ) {
      done();
      apply(remove(source, node.place));
      setNote(`${node.label} deleted`);
    } else if (node && command && key === "d") {
      done();
      apply(duplicate(source, node.place));
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowLeft")) {
      done();
      shift(-1);
    } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowRight")) {
      done();
      shift(1);
    } else if (!command && key === "a") {
      done();
      setPalette(true);
    } else if (event.key === "Enter" && node) {
      done();
      document.querySelector<HTMLElement>(".form input, .form select, .form textarea")?.focus();
    }
  }

  function onClipboard(event: ClipboardEvent) {
    if ((event.target as Element).closest("input, textarea, .cm-editor")) return;
    if (event.type === "paste") {
      const items = event.clipboardData.getData("text/plain");
      if (!isEditable || !/^\s*- /.test(items)) return;
      event.preventDefault();
      const spot = spotFor(node, null);
      apply(insert(source, spot.list, spot.index, withFreeIds(source, items)));
      return;
    }
    const copied = node && node.place.length > 1 ? itemText(source, node.place) : null;
    if (!node || !copied) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", copied);
    if (event.type === "cut" && isEditable) apply(remove(source, node.place));
  }

  async function save() {
    const sent = latest.current;
    if (isReadOnly || sent === saved.text) return;
    try {
      const answer = await hub.saveTree(tree.name, sent, saved.etag);
      setSaved({ text: sent, etag: answer.etag ?? null });
      setProblem(null);
      setNote("Saved");
      if (isNew) go(treeAddress(tree.name), { replace: true });
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
  }

  // What the form shows follows the text; the drawing's own keys work in the whole view.
  const value = node ? valueAt(source, node.place) : null;
  const errors = diagnostics.filter((one) => one.severity !== "warning").length;
  return (
    <Page
      wide
      title={String(source.value.title ?? tree.name)}
      above={
        <>
          <Link href="/trees">Trees</Link> <Icon name="chevron" size={12} />
          <span className="mono">{tree.file ?? tree.name}</span>
        </>
      }
      actions={
        <>
          <Link className="button" href={`/runs?tree=${encodeURIComponent(tree.name)}`}>
            <Icon name="runs" /> Its runs
          </Link>
          {!isReadOnly && (
            <>
              <button
                type="button"
                className="button"
                onClick={() => editor.current?.undo()}
                title="Ctrl Z"
              >
                <Icon name="undo" /> Undo
              </button>
              <button
                type="button"
                className="button"
                onClick={() => editor.current?.redo()}
                title="Ctrl Y"
              >
                <Icon name="redo" /> Redo
              </button>
              <button
                type="button"
                className="button primary"
                disabled={!isChanged}
                onClick={save}
                title="Ctrl S"
              >
                {isChanged ? "Save" : "Saved"}
              </button>
            </>
          )}
        </>
      }
    >
      <span className="visually-hidden" aria-live="polite">
        {note}
      </span>
      {problem && (
        <SaveProblem
          problem={problem}
          onTheirs={() => {
            reload();
            location.reload();
          }}
          onOurs={() => {
            hub.tree(tree.name).then((now) => {
              setSaved({ text: now.text ?? "", etag: now.etag ?? null });
              setProblem(null);
              setNote("Save again to put yours in its place");
            });
          }}
        />
      )}
      {isReadOnly && (
        <div className="note">
          <Icon name="alert" />
          <div>
            {hasText
              ? "This project is read-only here: change the tree in its repository."
              : "The hub shows this tree from its definition; its comments are in its file, where it is changed."}
          </div>
        </div>
      )}
      <div className="editor-bar">
        <Segments
          label="What is shown"
          value={shown}
          onChange={setShown}
          options={[
            ["both", "Both"],
            ["drawing", "Drawing"],
            ["text", "Text"],
          ]}
        />
        <Faults
          diagnostics={diagnostics}
          errors={errors}
          onShow={(one) => {
            const path = ownerOf(one.path ?? "", nodes);
            if (path) setSelected(path);
            const offset = source.lines.lineStarts[(one.line ?? 1) - 1] ?? 0;
            editor.current?.show(
              { from: offset + Math.max(0, (one.column ?? 1) - 1), to: lineEnd(text, offset) },
              { scroll: true, focus: true },
            );
          }}
        />
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to the focused parts */}
      <div className={`editor shows-${shown}`} onKeyDown={onKey}>
        <div className="editor-text panel">
          <Suspense fallback={<Skeleton rows={12} />}>
            <Text
              handle={editor}
              text={written}
              isReadOnly={isReadOnly}
              language={words?.language}
              events={events}
              diagnostics={diagnostics}
              onText={(next) => {
                latest.current = next;
                setText(next);
              }}
              onCursor={(offset) => {
                const places = [...nodes.values()].map((one) => one.place);
                const place = placeAt(read(latest.current), offset, places);
                if (place) select(pathOf(place), { scroll: false });
              }}
            />
          </Suspense>
        </div>
        <div className={`editor-canvas panel ${drawn.isOld ? "old" : ""}`}>
          {words ? (
            <Canvas
              label="The tree, drawn"
              roots={drawn.roots}
              marks={marks}
              selected={selected}
              onSelect={select}
              onClipboard={onClipboard}
              onDropOn={isEditable ? drop : undefined}
              onDragCard={
                isEditable
                  ? (path, data) => {
                      data.setData(DRAGGED_PATH, path);
                      data.effectAllowed = "copyMove";
                    }
                  : undefined
              }
              tools={
                !isReadOnly && (
                  <>
                    <button
                      type="button"
                      className="button small"
                      aria-expanded={isPalette}
                      onClick={() => setPalette(!isPalette)}
                      title="Key A"
                    >
                      <Icon name="plus" size={14} /> Add
                    </button>
                    <NodeTools
                      node={node}
                      isEditable={isEditable}
                      words={words}
                      onUp={() => shift(-1)}
                      onDown={() => shift(1)}
                      onDuplicate={() => node && apply(duplicate(source, node.place))}
                      onDelete={() => node && apply(remove(source, node.place))}
                      onWrap={wrapIn}
                    />
                  </>
                )
              }
              empty={
                <Empty icon="trees" title="Nothing is drawn yet">
                  {isReadOnly
                    ? "The tree has no nodes."
                    : "Press A, or Add, and choose the first node."}
                </Empty>
              }
            />
          ) : (
            <Skeleton rows={8} />
          )}
          {isPalette && words && (
            <Palette
              language={words.language}
              onClose={() => setPalette(false)}
              onChoose={(info) => add(info, node, null)}
            />
          )}
        </div>
        {node && words && (
          <section className="editor-form panel" aria-label={`Fields of ${node.label}`}>
            <header className="panel-head">
              <div className="grow">
                <h2 className="break">{node.place.length === 1 ? "The tree" : node.label}</h2>
                <p className="faint small mono break">{node.path}</p>
              </div>
              <button
                type="button"
                className="icon-button"
                aria-label="Close the form"
                onClick={() => select(null)}
              >
                <Icon name="cross" />
              </button>
            </header>
            <div className="panel-body">
              {node.place.length === 1 ? (
                <TreeForm
                  value={source.value}
                  isReadOnly={!isEditable}
                  onSet={(place, next) =>
                    apply({ text: setIn(source, place, next), place: node.place })
                  }
                />
              ) : (
                <NodeForm
                  key={node.path}
                  node={node}
                  value={value ?? {}}
                  words={words}
                  events={events}
                  isReadOnly={!isEditable}
                  onSet={(place, next) =>
                    apply({ text: setIn(source, place, next), place: node.place })
                  }
                  onAddPart={(place) =>
                    apply({
                      text: setIn(source, place, [{ log: "to be written" }]),
                      place: [...place, 0],
                    })
                  }
                />
              )}
            </div>
          </section>
        )}
      </div>
    </Page>
  );
}

function isPhone(): boolean {
  return window.matchMedia("(max-width: 760px)").matches;
}

function useWords(): Words | undefined {
  const { data } = useResource("language", hub.language);
  return useMemo(() => data && new Words(data), [data]);
}

/** The drawing of the text; while the text is broken, that of before. */
function useDrawn(
  source: Source,
  words: Words | undefined,
): { roots: OutlineNode[]; isOld: boolean } {
  const before = useRef<OutlineNode[]>([]);
  return useMemo(() => {
    if (!words) return { roots: [], isOld: false };
    if (source.faults.length > 0) return { roots: before.current, isOld: true };
    const root = outline(source.value, words);
    const { start, tree, title } = source.value;
    const name = isObject(start) ? start.event : start;
    before.current = root
      ? [
          {
            ...root,
            label: String(title ?? tree ?? "tree"),
            summary: name ? `starts with ${String(name)}` : root.summary,
          },
        ]
      : [];
    return { roots: before.current, isOld: false };
  }, [source, words]);
}

/** What is wrong: as YAML at once, and what it means as soon as the hub has said it. */
function useDiagnostics(name: string, source: Source, hasText: boolean): Diagnostic[] {
  const [told, setTold] = useState<{ text: string; diagnostics: Diagnostic[] }>({
    text: "",
    diagnostics: [],
  });
  const { text, faults } = source;
  useEffect(() => {
    if (!hasText || faults.length > 0) return;
    const aborter = new AbortController();
    const timer = window.setTimeout(() => {
      hub.validateTree(name, text, aborter.signal).then(
        ({ diagnostics }) => setTold({ text, diagnostics }),
        () => {},
      );
    }, 250);
    return () => {
      window.clearTimeout(timer);
      aborter.abort();
    };
  }, [name, text, faults.length, hasText]);
  return useMemo(() => (faults.length > 0 ? faults : told.diagnostics), [faults, told]);
}

function ownerOf(path: string, nodes: Map<string, OutlineNode>): string | null {
  let end = path.length;
  while (end > 0) {
    if (nodes.has(path.slice(0, end))) return path.slice(0, end);
    end = Math.max(path.lastIndexOf(".", end - 1), path.lastIndexOf("[", end - 1));
  }
  return null;
}

function marksOf(diagnostics: Diagnostic[], nodes: Map<string, OutlineNode>): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const one of diagnostics) {
    const path = one.path ? ownerOf(one.path, nodes) : null;
    if (!path) continue;
    const severity = one.severity === "warning" ? ("warning" as const) : ("error" as const);
    if (marks.get(path)?.fault?.severity === "error") continue;
    marks.set(path, { fault: { severity, message: one.message } });
  }
  return marks;
}

function spanOf(source: Source, found: NonNullable<ReturnType<typeof nodeAt>>) {
  const from = lineStart(source.text, found.range?.[0] ?? 0);
  return { from, to: lineEnd(source.text, contentEnd(source.text, found)) };
}

function valueAt(source: Source, place: Place): { [key: string]: Json } | null {
  const found = nodeAt(source, place);
  const plain = found?.toJS(source.document) as Json | undefined;
  if (typeof plain === "string") return { [plain]: null };
  return isObject(plain) ? plain : null;
}

/** Where something new goes: into a node that holds a list, otherwise beside it. */
function spotFor(
  target: OutlineNode | null,
  at: { x: number; y: number } | null,
): { list: Place; index: number } {
  if (!target || target.place.length === 1) {
    const size = target?.children.length ?? Number.MAX_SAFE_INTEGER;
    return { list: ["do"], index: target ? size : Number.MAX_SAFE_INTEGER };
  }
  const [first] = target.children;
  const holds = first && typeof first.place.at(-1) === "number" ? first.place.slice(0, -1) : null;
  const index = target.place.at(-1);
  const isEdge = at !== null && (at.y < 0.25 || at.y > 0.75);
  if (holds && at !== null && !isEdge) return { list: holds, index: target.children.length };
  if (typeof index === "number") {
    const isBefore = at !== null && at.y < (holds ? 0.25 : 0.5);
    return { list: target.place.slice(0, -1), index: isBefore ? index : index + 1 };
  }
  return holds ? { list: holds, index: target.children.length } : { list: target.place, index: 1 };
}

function NodeTools({
  node,
  isEditable,
  words,
  onUp,
  onDown,
  onDuplicate,
  onDelete,
  onWrap,
}: {
  node: OutlineNode | null;
  isEditable: boolean;
  words: Words;
  onUp: () => void;
  onDown: () => void;
  onDuplicate: () => void;
  onDelete: () => void;
  onWrap: (verb: string) => void;
}) {
  const isOne = isEditable && node !== null && node.place.length > 1;
  const isItem = isOne && typeof node.place.at(-1) === "number";
  const around = useMemo(() => [...wrappings(words.language.verbs).keys()], [words]);
  return (
    <>
      <button
        type="button"
        className="icon-button"
        disabled={!isItem}
        onClick={onUp}
        aria-label="Move up"
        title="Move up (Alt ↑)"
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        className="icon-button"
        disabled={!isItem}
        onClick={onDown}
        aria-label="Move down"
        title="Move down (Alt ↓)"
      >
        <Icon name="down" />
      </button>
      <button
        type="button"
        className="icon-button"
        disabled={!isItem}
        onClick={onDuplicate}
        aria-label="Duplicate"
        title="Duplicate (Ctrl D)"
      >
        <Icon name="copy" />
      </button>
      <button
        type="button"
        className="icon-button"
        disabled={!isOne}
        onClick={onDelete}
        aria-label="Delete"
        title="Delete (Del)"
      >
        <Icon name="trash" />
      </button>
      <select
        className="wrap-select"
        aria-label="Wrap into"
        disabled={!isOne}
        value=""
        onChange={(event) => onWrap(event.target.value)}
      >
        <option value="">Wrap into…</option>
        {around.map((verb) => (
          <option key={verb}>{verb}</option>
        ))}
      </select>
    </>
  );
}

function Faults({
  diagnostics,
  errors,
  onShow,
}: {
  diagnostics: Diagnostic[];
  errors: number;
  onShow: (one: Diagnostic) => void;
}) {
  const [first] = diagnostics;
  if (!first) {
    return (
      <span className="row small tone-good">
        <Icon name="check" size={14} /> No problems
      </span>
    );
  }
  const warnings = diagnostics.length - errors;
  const counts = [
    errors ? `${errors} ${errors === 1 ? "error" : "errors"}` : "",
    warnings ? `${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "",
  ].filter(Boolean);
  return (
    <details className="faults">
      <summary className={errors ? "tone-bad" : "tone-wait"}>
        <Icon name="alert" size={14} /> {counts.join(", ")}
      </summary>
      <ul>
        {diagnostics.map((one, index) => (
          <li key={`${one.path} ${one.message} ${index}`}>
            <button type="button" onClick={() => onShow(one)}>
              <span className={one.severity === "warning" ? "tone-wait" : "tone-bad"}>
                line {one.line ?? "?"}
              </span>
              <span>
                {one.message}
                {one.suggestion && <span className="soft"> {one.suggestion}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

function SaveProblem({
  problem,
  onTheirs,
  onOurs,
}: {
  problem: Problem;
  onTheirs: () => void;
  onOurs: () => void;
}) {
  const isConflict = problem.status === 409 || problem.status === 412;
  return (
    <div className="note bad" role="alert">
      <Icon name="alert" />
      <div className="grow">
        {isConflict ? "Somebody else has changed this tree since it was opened. " : ""}
        {problem.message}
        {problem.errors.slice(0, 3).map((one) => (
          <div key={`${one.line} ${one.message}`}>
            line {one.line ?? "?"}: {one.message}
          </div>
        ))}
      </div>
      {isConflict && (
        <>
          <button type="button" className="plain" onClick={onTheirs}>
            Take theirs
          </button>
          <button type="button" className="plain" onClick={onOurs}>
            Keep mine
          </button>
        </>
      )}
    </div>
  );
}
