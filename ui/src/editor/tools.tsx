/** What the bar above the canvas does to the chosen node. */

import { Icon, type IconName } from "../parts/icons";
import type { OutlineNode } from "../tree/outline";
import type { Changes } from "./changes";

export function NodeTools({
  node,
  changes,
  open,
  onPalette,
  onHelp,
}: {
  node: OutlineNode | null;
  changes: Changes;
  open: "add" | "wrap" | null;
  onPalette: (what: "add" | "wrap") => void;
  onHelp: () => void;
}) {
  const isOne = changes.isEditable && node !== null && node.place.length > 1;
  const isItem = isOne && typeof node.place.at(-1) === "number";
  return (
    <>
      <button
        type="button"
        className="button small"
        aria-expanded={open === "add"}
        disabled={!changes.isEditable}
        onClick={() => onPalette("add")}
        title="Key A"
      >
        <Icon name="plus" size={14} /> Add
      </button>
      <button
        type="button"
        className="button small"
        aria-expanded={open === "wrap"}
        disabled={!isOne}
        onClick={() => onPalette("wrap")}
        title="Key W"
      >
        <Icon name="wrap" size={14} /> Wrap
      </button>
      <Tool name="Move up" icon="up" hint="Alt ↑" isOn={isItem} onUse={() => changes.shift(-1)} />
      <Tool
        name="Move down"
        icon="down"
        hint="Alt ↓"
        isOn={isItem}
        onUse={() => changes.shift(1)}
      />
      <Tool
        name="Duplicate"
        icon="copy"
        hint="Ctrl D"
        isOn={isItem}
        onUse={() => changes.duplicate()}
      />
      <Tool name="Delete" icon="trash" hint="Del" isOn={isOne} onUse={() => changes.remove()} />
      <Tool name="Keys" icon="keys" hint="?" isOn onUse={onHelp} />
    </>
  );
}

function Tool({
  name,
  icon,
  hint,
  isOn,
  onUse,
}: {
  name: string;
  icon: IconName;
  hint: string;
  isOn: boolean;
  onUse: () => void;
}) {
  return (
    <button
      type="button"
      className="icon-button"
      disabled={!isOn}
      onClick={onUse}
      aria-label={name}
      title={`${name} (${hint})`}
    >
      <Icon name={icon} />
    </button>
  );
}
