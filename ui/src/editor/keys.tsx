/** The keys of the editor: what they do, and the list of them. */

import type { KeyboardEvent } from "react";
import { Dialog } from "../parts/parts";
import type { Changes } from "./changes";

export interface Commands extends Pick<Changes, "shift" | "duplicate" | "remove"> {
  save: () => void;
  undo: () => void;
  redo: () => void;
  tryOut: () => void;
  openPalette: (what: "add" | "wrap") => void;
  help: () => void;
  toForm: () => void;
}

const KEYS: [string, string][] = [
  ["Arrow keys", "from node to node"],
  ["A", "add a node: behind the chosen one, or into it"],
  ["W", "wrap the chosen node into another"],
  ["Enter", "to its form"],
  ["Ctrl F", "find a node; in the text: find and replace"],
  ["Ctrl C, X, V", "copy, cut, paste: as YAML, also from elsewhere"],
  ["Ctrl D", "duplicate"],
  ["Del", "delete"],
  ["Alt ↑, Alt ↓", "move up or down"],
  ["Ctrl Z, Ctrl Y", "undo, redo: what was typed and what was drawn"],
  ["Ctrl S", "save"],
  ["T", "try it"],
  ["+, -, 0", "zoom in, out, show all"],
  ["?", "this list"],
];

/** Do what a key stands for; what is typed into a field or the text is left to it. */
export function onEditorKey(event: KeyboardEvent, commands: Commands): void {
  const command = keyOf(event, commands);
  if (!command) return;
  event.preventDefault();
  event.stopPropagation();
  command();
}

function keyOf(event: KeyboardEvent, commands: Commands): (() => void) | null {
  const isCommand = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const target = event.target as HTMLElement;
  if (isCommand && key === "s") {
    return () => {
      // What is being typed into a form counts, too.
      if (target.closest(".editor-form")) target.blur();
      commands.save();
    };
  }
  if (target.closest("input, textarea, select, .cm-editor, dialog")) return null;
  if (isCommand) {
    if (key === "z") return event.shiftKey ? commands.redo : commands.undo;
    if (key === "y") return commands.redo;
    if (key === "d") return commands.duplicate;
    return null;
  }
  if (event.altKey) {
    if (key === "arrowup" || key === "arrowleft") return () => commands.shift(-1);
    if (key === "arrowdown" || key === "arrowright") return () => commands.shift(1);
    return null;
  }
  if (key === "?") return commands.help;
  if (!target.closest(".editor-canvas")) return null;
  switch (key) {
    case "delete":
    case "backspace":
      return commands.remove;
    case "a":
      return () => commands.openPalette("add");
    case "w":
      return () => commands.openPalette("wrap");
    case "t":
      return commands.tryOut;
    case "enter":
      return target.closest("button") ? null : commands.toForm;
    default:
      return null;
  }
}

export function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div className="body">
        <dl className="keys">
          {KEYS.map(([keys, what]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}
