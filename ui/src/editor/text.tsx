/** The text of a tree: what is true of it. The canvas changes it as a person would, and one undo is for both. */

import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import {
  defaultKeymap,
  history,
  historyKeymap,
  indentWithTab,
  redo,
  undo,
} from "@codemirror/commands";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import {
  diagnosticCount,
  lintGutter,
  lintKeymap,
  type Diagnostic as Mark,
  setDiagnostics,
} from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  hoverTooltip,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Ref } from "react";
import { useCallback, useEffect, useImperativeHandle, useRef } from "react";
import type { Diagnostic, Language } from "../api/types";
import { behindNextFrame } from "./following";
import { treeLanguage } from "./language";

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--accent)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.macroName, color: "var(--stop)" },
  { tag: [tags.number, tags.atom], color: "var(--wait)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.labelName], color: "var(--soft)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", backgroundColor: "var(--panel)", color: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", fontVariantLigatures: "none" },
  ".cm-content": { padding: "10px 0", caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--faint)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "color-mix(in oklab, var(--hover) 70%, transparent)",
  },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": {
    backgroundColor: "color-mix(in oklab, var(--accent) 24%, transparent) !important",
  },
  ".cm-chosen": { backgroundColor: "var(--accent-wash)" },
  ".cm-panels, .cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line)",
    borderRadius: "8px",
  },
  ".cm-tooltip": { boxShadow: "var(--shadow-high)", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--on-accent)",
  },
  ".cm-tooltip.cm-completionInfo": {
    padding: "8px 10px",
    maxWidth: "320px",
    fontFamily: "var(--sans)",
  },
  ".cm-hover-doc": {
    padding: "8px 12px",
    maxWidth: "360px",
    fontFamily: "var(--sans)",
    fontSize: "13px",
  },
  ".cm-diagnostic": { fontFamily: "var(--sans)", fontSize: "13px", padding: "6px 10px" },
  ".cm-panel button, .cm-panel input": { fontSize: "13px" },
});

const choose = StateEffect.define<{ from: number; to: number } | null>();
const chosenLine = Decoration.line({ class: "cm-chosen" });
const chosen = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(choose)) continue;
      if (!effect.value) {
        next = Decoration.none;
        continue;
      }
      const { doc } = transaction.state;
      const from = doc.lineAt(Math.min(effect.value.from, doc.length)).number;
      const to = doc.lineAt(
        Math.min(Math.max(effect.value.from, effect.value.to - 1), doc.length),
      ).number;
      const lines = [];
      for (let line = from; line <= to; line++) lines.push(chosenLine.range(doc.line(line).from));
      next = Decoration.set(lines);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export interface TextHandle {
  /** Change a piece of the text as one step that can be undone. */
  change: (piece: { from: number; to: number; insert: string }) => void;
  undo: () => void;
  redo: () => void;
  /** Show a part of the text, and mark it. */
  show: (
    span: { from: number; to: number } | null,
    options?: { scroll?: boolean; focus?: boolean },
  ) => void;
  /** Take other text, as when it was loaded anew; what was before cannot come back by undo. */
  replace: (text: string) => void;
  focus: () => void;
}

export interface TextProps {
  handle: Ref<TextHandle>;
  text: string;
  isReadOnly: boolean;
  language: Language | undefined;
  events: string[];
  diagnostics: Diagnostic[];
  /** `isTyped` tells what is being written from what was changed as a whole. */
  onText: (text: string, isTyped: boolean) => void;
  onCursor: (offset: number) => void;
  onLeave: () => void;
}

export default function Text(props: TextProps) {
  const { handle, text, isReadOnly, diagnostics } = props;
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const editable = useRef(new Compartment());
  const isWhole = useRef(false);
  /** Takes back what is to be shown soon. */
  const later = useRef<(() => void) | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is made once, and told later
  useEffect(() => {
    const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.nonce ?? "";
    const made = new EditorView({ state: stateOf(text) });
    view.current = made;
    // It is made in one frame, and measured in the next.
    const stop = behindNextFrame(() => {
      place.current?.append(made.dom);
      made.requestMeasure();
    });
    return () => {
      stop();
      later.current?.();
      view.current = null;
      made.destroy();
    };

    function stateOf(doc: string): EditorState {
      return EditorState.create({
        doc,
        extensions: [
          EditorView.cspNonce.of(nonce),
          lineNumbers(),
          foldGutter(),
          lintGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of("  "),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          highlightSelectionMatches(),
          treeLanguage,
          syntaxHighlighting(colours),
          look,
          chosen,
          autocompletion({ override: [(context) => complete(context, latest.current)] }),
          hoverTooltip((shown, position) => explain(shown, position, latest.current.language)),
          keymap.of([
            ...completionKeymap,
            ...lintKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...foldKeymap,
            ...defaultKeymap,
            indentWithTab,
          ]),
          editable.current.of(locks(isReadOnly)),
          EditorView.contentAttributes.of({
            "aria-label": "The tree as YAML",
            tabindex: "0",
            spellcheck: "false",
          }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) {
              latest.current.onText(update.state.doc.toString(), !isWhole.current);
            }
            if (update.focusChanged && !update.view.hasFocus) latest.current.onLeave();
            if (
              update.selectionSet &&
              update.transactions.some((one) => one.isUserEvent("select"))
            ) {
              latest.current.onCursor(update.state.selection.main.head);
            }
          }),
        ],
      });
    }
  }, []);

  useEffect(() => {
    const shown = view.current;
    if (!shown || shown.state.readOnly === isReadOnly) return;
    shown.dispatch({ effects: editable.current.reconfigure(locks(isReadOnly)) });
  }, [isReadOnly]);

  useEffect(() => {
    const shown = view.current;
    if (!shown || (diagnostics.length === 0 && diagnosticCount(shown.state) === 0)) return;
    shown.dispatch(setDiagnostics(shown.state, marksOf(shown.state, diagnostics)));
  }, [diagnostics]);

  const whole = useCallback((change: () => void) => {
    isWhole.current = true;
    try {
      change();
    } finally {
      isWhole.current = false;
    }
  }, []);

  const showNow = useCallback<TextHandle["show"]>((span, options = {}) => {
    const shown = view.current;
    if (!shown) return;
    const effects: StateEffect<unknown>[] = [choose.of(span)];
    if (span && options.scroll) {
      effects.push(
        EditorView.scrollIntoView(Math.min(span.from, shown.state.doc.length), { y: "center" }),
      );
    }
    shown.dispatch({ effects });
    if (span && options.focus) {
      shown.dispatch({ selection: { anchor: Math.min(span.from, shown.state.doc.length) } });
      shown.focus();
    }
  }, []);

  useImperativeHandle(
    handle,
    () => ({
      change: (piece) => {
        // What was to be shown stood in the text of before.
        later.current?.();
        whole(() =>
          view.current?.dispatch({
            changes: piece,
            userEvent: "input.canvas",
            scrollIntoView: false,
          }),
        );
      },
      undo: () => whole(() => view.current && undo(view.current)),
      redo: () => whole(() => view.current && redo(view.current)),
      show: (span, options = {}) => {
        later.current?.();
        if (options.focus) showNow(span, options);
        else later.current = behindNextFrame(() => showNow(span, options));
      },
      replace: (next) => {
        const shown = view.current;
        if (!shown || shown.state.doc.toString() === next) return;
        shown.dispatch({ changes: { from: 0, to: shown.state.doc.length, insert: next } });
      },
      focus: () => view.current?.focus(),
    }),
    [whole, showNow],
  );

  return <div className="text-editor" ref={place} />;
}

function locks(isReadOnly: boolean) {
  return [EditorState.readOnly.of(isReadOnly)];
}

function marksOf(state: EditorState, diagnostics: Diagnostic[]): Mark[] {
  return diagnostics.map((one) => {
    const line = state.doc.line(Math.min(Math.max(one.line ?? 1, 1), state.doc.lines));
    const from = Math.min(line.from + Math.max((one.column ?? 1) - 1, 0), line.to);
    const word = /^[^\s:,\]}]+/.exec(line.text.slice(from - line.from))?.[0].length ?? 0;
    return {
      from,
      to: Math.min(line.to, from + Math.max(word, 1)),
      severity: one.severity === "warning" ? "warning" : "error",
      message: one.suggestion ? `${one.message}\n${one.suggestion}` : one.message,
    };
  });
}

/** Verbs and fields where a key is written; events and choices where a value is. */
function complete(context: CompletionContext, props: TextProps): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^\s*(?:- )?([a-z_.]+):\s+([\w-]*)$/.exec(before);
  if (value) {
    const [, key = "", typed = ""] = value;
    const field = props.language?.verbs
      .flatMap((verb) =>
        verb.fields.map((field) => ({ verb: verb.verb, primary: verb.primary, field })),
      )
      .find(({ verb, primary, field }) =>
        field.key === primary ? verb === key : field.key === key,
      )?.field;
    const common = props.language?.common.find((one) => one.key === key);
    const kind = (common ?? field)?.kind;
    const options =
      kind === "event" || key === "start" ? props.events : ((common ?? field)?.choices ?? []);
    if (options.length === 0) return null;
    return {
      from: context.pos - typed.length,
      options: options.map((label) => ({ label, type: "enum" })),
    };
  }
  const word = /^(\s*)(- )?([a-z_.]*)$/.exec(before);
  if (!word || (!word[3] && !context.explicit && !word[2])) return null;
  const indent = word[1]?.length ?? 0;
  if (indent === 0 && !word[2]) {
    return {
      from: context.pos - (word[3]?.length ?? 0),
      options: ["tree", "title", "description", "events", "start", "vars", "do"].map((label) => ({
        label,
        type: "property",
        apply: `${label}: `,
      })),
    };
  }
  const verbs = (props.language?.verbs ?? []).map((info) => ({
    label: info.verb,
    type: info.group === "connector" ? "function" : "keyword",
    info: info.doc,
    apply: `${info.verb}: `,
  }));
  const fields = (props.language?.common ?? []).map((field) => ({
    label: field.key,
    type: "property",
    info: field.doc ?? "",
    apply: `${field.key}: `,
    boost: -1,
  }));
  return { from: context.pos - (word[3]?.length ?? 0), options: [...verbs, ...fields] };
}

function explain(view: EditorView, position: number, language: Language | undefined) {
  const line = view.state.doc.lineAt(position);
  const key = /^\s*(?:- )?([a-z][a-z0-9_.]*):/.exec(line.text);
  const word = key?.[1];
  if (!word) return null;
  const start = line.from + line.text.indexOf(word);
  if (position < start || position > start + word.length) return null;
  const info = language?.verbs.find((one) => one.verb === word);
  const doc = info?.doc ?? language?.common.find((field) => field.key === word)?.doc;
  if (!doc) return null;
  return {
    pos: start,
    end: start + word.length,
    create: () => {
      const dom = document.createElement("div");
      dom.className = "cm-hover-doc";
      dom.textContent = doc;
      return { dom };
    },
  };
}
