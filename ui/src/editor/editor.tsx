/** The editor of one tree: text and canvas are two views of it, and each change is one of the text. */

import {
  type ClipboardEvent,
  lazy,
  Suspense,
  startTransition,
  useCallback,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { stringify } from "yaml";
import { go, guardLeaving, treeAddress } from "../address";
import { hub, Problem } from "../api/client";
import type { Tree } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Empty, Page, Segments, Skeleton } from "../parts/parts";
import { lacking, may, useSession } from "../session";
import { Canvas } from "../tree/canvas";
import type { Mark } from "../tree/mark";
import { isObject, type OutlineNode, pathOf, walk } from "../tree/outline";
import { marksOf, momentsOf, Scrub } from "../tree/past";
import { TrialPanel, type Tried } from "../trial/panel";
import { changesOf } from "./changes";
import { difference } from "./difference";
import type { Edited } from "./edits";
import { useFollowing } from "./following";
import { NodeForm } from "./form";
import { KeysDialog, onEditorKey } from "./keys";
import { lineEnd } from "./lines";
import { DRAGGED_VERB, Palette } from "./palette";
import { wrappings } from "./pieces";
import { Faults, faultsOf, ownerOf, SaveProblem } from "./problems";
import { nodeAt, placeAt, read, UNREAD } from "./source";
import { Splitter } from "./splitter";
import { spanOf, valueAt } from "./spots";
import type { TextHandle } from "./text";
import { NodeTools } from "./tools";
import { TreeForm } from "./tree-form";
import { useDiagnostics, useDrawn, useSource, useWords } from "./use-source";

const Text = lazy(() => import("./text"));
const DRAGGED_PATH = "application/x-hub-path";

type Shown = "both" | "drawing" | "text";

export function Editor({
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
  const session = useSession();
  const mayTry = may(session, "tree.try");
  const isReadOnly = !hasText || !tree.writable || !may(session, "tree.save");
  const [saved, setSaved] = useState({ text: isNew ? "" : written, etag: tree.etag ?? null });
  const [text, setText] = useState(written);
  const [selected, setSelected] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown>(isPhone() ? "drawing" : "both");
  const [palette, setPalette] = useState<"add" | "wrap" | null>(null);
  const [isTrying, setTrying] = useState(false);
  const [tried, setTried] = useState<Tried | null>(null);
  const [moment, setMoment] = useState<number | null>(null);
  const [hasKeys, setKeys] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [note, setNote] = useState("");
  const editor = useRef<TextHandle>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const words = useWords();
  const { source: known, typed, changed, settle } = useSource(written);
  const source = known ?? UNREAD;
  const drawn = useDrawn(known, words);
  const diagnostics = useDiagnostics(tree.name, known, hasText);
  // The text comes a moment after the page around it: both in one frame would be a long one.
  const isTextDue = useDeferredValue(true, false);
  const isChanged = text !== saved.text;
  const follow = useFollowing();
  /** The text as it is, also while the page around it still follows. */
  const latest = useRef(text);

  useEffect(() => {
    if (!isChanged || isReadOnly) return;
    return guardLeaving(() => confirm("Leave without saving what was changed?"));
  }, [isChanged, isReadOnly]);

  const nodes = useMemo(() => {
    const all = new Map<string, OutlineNode>();
    for (const root of drawn.roots) for (const node of walk(root)) all.set(node.path, node);
    return all;
  }, [drawn.roots]);
  const node = selected ? (nodes.get(selected) ?? null) : null;
  const events = Object.keys(isObject(source.value.events) ? source.value.events : {});

  const lived = isTrying ? tried?.trial.runs[0] : undefined;
  const moments = useMemo(() => (lived ? momentsOf(lived) : []), [lived]);
  const at = moment === null ? null : (moments[moment] ?? null);
  const marks = useMemo(() => {
    const faults = faultsOf(diagnostics, nodes);
    if (!lived) return faults;
    const end = tried?.trial.now ? Date.parse(tried.trial.now) : undefined;
    const all: Map<string, Mark> = marksOf(lived, drawn.roots, at, end);
    for (const [path, fault] of faults) all.set(path, { ...all.get(path), ...fault });
    return all;
  }, [diagnostics, nodes, lived, tried, drawn.roots, at]);

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
    (edited: Edited, said: string) => {
      if (isReadOnly || edited.text === latest.current) return;
      editor.current?.change(difference(latest.current, edited.text));
      follow(() => {
        setSelected(edited.place ? pathOf(edited.place) : null);
        setProblem(null);
        setNote(said);
      });
    },
    [isReadOnly, follow],
  );
  const changes = changesOf({ source, words, nodes, node, events, isReadOnly, apply });

  function openPalette(what: "add" | "wrap") {
    const isPart = node !== null && node.place.length > 1;
    if (changes.isEditable && (what === "add" || isPart))
      setPalette(palette === what ? null : what);
  }

  function closePalette() {
    setPalette(null);
    canvas.current?.querySelector<HTMLElement>(".node[aria-current]")?.focus();
  }

  function tryOut() {
    if (!mayTry) return;
    setTrying(true);
    // Text, canvas and scenario side by side need a wide window.
    if (shown === "both" && window.innerWidth < 1760) setShown("drawing");
  }

  function drop(path: string, data: DataTransfer, at: { x: number; y: number }) {
    const target = nodes.get(path);
    const verb = data.getData(DRAGGED_VERB);
    const dragged = nodes.get(data.getData(DRAGGED_PATH));
    const info = verb ? words?.info(verb) : undefined;
    if (!target) return;
    if (info) changes.add(info, target, at);
    else if (dragged) changes.moveTo(dragged, target, at);
  }

  function onClipboard(event: ClipboardEvent) {
    if ((event.target as Element).closest("input, textarea, .cm-editor")) return;
    if (event.type === "paste") {
      if (changes.paste(event.clipboardData.getData("text/plain"))) event.preventDefault();
      return;
    }
    const copied = changes.copied();
    if (!copied) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", copied);
    if (event.type === "cut") changes.remove();
  }

  /** Save the text; `over` what somebody else has saved since, too. */
  async function save(over?: "theirs") {
    const sent = latest.current;
    if (isReadOnly || (sent === saved.text && !over)) return;
    try {
      const etag = over ? ((await hub.tree(tree.name)).etag ?? null) : saved.etag;
      const answer = await hub.saveTree(tree.name, sent, etag);
      setSaved({ text: sent, etag: answer.etag ?? null });
      setProblem(null);
      setNote("Saved");
      if (isNew) go(treeAddress(tree.name), { replace: true });
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
  }

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
            </>
          )}
          {mayTry && (
            <button
              type="button"
              className="button"
              aria-pressed={isTrying}
              onClick={() => (isTrying ? setTrying(false) : tryOut())}
              title="Key T"
            >
              <Icon name="play" /> Try it
            </button>
          )}
          {!isReadOnly && (
            <button
              type="button"
              className="button primary"
              disabled={!isChanged}
              onClick={() => save()}
              title="Ctrl S"
            >
              {isChanged ? "Save" : "Saved"}
            </button>
          )}
        </>
      }
    >
      <span className="visually-hidden" aria-live="polite">
        {note}
      </span>
      {hasKeys && <KeysDialog onClose={() => setKeys(false)} />}
      {problem && (
        <SaveProblem
          problem={problem}
          onTheirs={() => {
            reload();
            location.reload();
          }}
          onOurs={() => save("theirs")}
        />
      )}
      {isReadOnly && (
        <div className="note">
          <Icon name="alert" />
          <div>
            {hasText && tree.writable
              ? `You may look at it, not change it. ${lacking(session, "tree.save")}`
              : hasText
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
      <div
        className={`editor shows-${shown} ${isTrying ? "has-trial" : node && words ? "has-form" : ""}`}
        onKeyDown={(event) =>
          onEditorKey(event, {
            ...changes,
            save,
            undo: () => editor.current?.undo(),
            redo: () => editor.current?.redo(),
            tryOut,
            openPalette,
            help: () => setKeys(true),
            toForm: () =>
              document
                .querySelector<HTMLElement>(".form input, .form select, .form textarea")
                ?.focus(),
          })
        }
      >
        <div className="editor-text panel">
          <Suspense fallback={<Skeleton rows={12} />}>
            {isTextDue ? (
              <Text
                handle={editor}
                text={written}
                isReadOnly={isReadOnly}
                language={words?.language}
                events={events}
                diagnostics={diagnostics}
                onText={(next, isTyped) => {
                  latest.current = next;
                  if (isTyped) {
                    // What is typed is shown by the text itself; the rest of the page may wait.
                    startTransition(() => setText(next));
                    typed(next);
                  } else {
                    follow(() => {
                      setText(next);
                      changed(next);
                    });
                  }
                }}
                onLeave={settle}
                onCursor={(offset) => {
                  if (source.text !== latest.current) return;
                  const places = [...nodes.values()].map((one) => one.place);
                  const place = placeAt(source, offset, places);
                  if (place) select(pathOf(place), { scroll: false });
                }}
              />
            ) : (
              <Skeleton rows={12} />
            )}
          </Suspense>
        </div>
        <Splitter />
        <div className={`editor-canvas panel ${drawn.isOld ? "old" : ""}`} ref={canvas}>
          {words && known ? (
            <Canvas
              label="The tree, drawn"
              roots={drawn.roots}
              marks={marks}
              selected={selected}
              onSelect={select}
              onClipboard={onClipboard}
              onDropOn={changes.isEditable ? drop : undefined}
              onDragCard={changes.isEditable ? takeAlong : undefined}
              tools={
                !isReadOnly && (
                  <NodeTools
                    node={node}
                    changes={changes}
                    open={palette}
                    onPalette={openPalette}
                    onHelp={() => setKeys(true)}
                  />
                )
              }
              empty={
                <Empty icon="trees" title="Nothing is drawn yet">
                  {isReadOnly
                    ? "The tree has no nodes."
                    : "Press A, or Add, and choose the first node."}
                </Empty>
              }
              foot={
                moments.length > 0 && (
                  <Scrub
                    moments={moments}
                    moment={moment}
                    onMoment={setMoment}
                    end="the end"
                    isVirtual
                  />
                )
              }
            />
          ) : (
            <Skeleton rows={8} />
          )}
          {palette === "add" && words && (
            <Palette
              label="Nodes to add"
              verbs={words.language.verbs}
              isDraggable
              onClose={closePalette}
              onChoose={(info) => changes.add(info, node, null)}
            />
          )}
          {palette === "wrap" && words && (
            <Palette
              label="Wrap into"
              verbs={[...wrappings(words.language.verbs).keys()].flatMap(
                (verb) => words.info(verb) ?? [],
              )}
              onClose={closePalette}
              onChoose={(info) => {
                changes.wrapInto(info.verb);
                closePalette();
              }}
            />
          )}
        </div>
        {isTrying ? (
          <TrialPanel
            name={tree.name}
            text={text}
            tree={source.value}
            nodes={nodes}
            tried={tried}
            selected={selected}
            at={at}
            onTried={(next) => {
              setTried(next);
              setMoment(null);
            }}
            onSelect={select}
            onClose={() => {
              setTrying(false);
              setMoment(null);
            }}
          />
        ) : (
          node &&
          words && (
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
                    language={words.language}
                    isReadOnly={!changes.isEditable}
                    onSet={changes.set}
                  />
                ) : (
                  <NodeForm
                    key={node.path}
                    node={node}
                    value={valueAt(source, node.place) ?? {}}
                    words={words}
                    events={events}
                    isReadOnly={!changes.isEditable}
                    onSet={changes.set}
                    onAddPart={changes.addPart}
                  />
                )}
              </div>
            </section>
          )
        )}
      </div>
    </Page>
  );
}

function takeAlong(path: string, data: DataTransfer): void {
  data.setData(DRAGGED_PATH, path);
  data.effectAllowed = "copyMove";
}

function isPhone(): boolean {
  return window.matchMedia("(max-width: 760px)").matches;
}
