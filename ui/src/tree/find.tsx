/** Find on the canvas: by what a node is called, does, or is about. */

import { useEffect, useRef } from "react";
import { Icon } from "../parts/icons";
import type { OutlineNode } from "./outline";

/** Does a node have all the words that are sought? */
export function isSought(node: OutlineNode, sought: string): boolean {
  const text = `${node.label} ${node.verb} ${node.summary} ${node.id ?? ""} ${node.path} ${node.slot ?? ""}`;
  const low = text.toLowerCase();
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length > 0 && words.every((word) => low.includes(word));
}

export function FindBar({
  sought,
  found,
  selected,
  onSought,
  onSelect,
  onClose,
}: {
  sought: string;
  found: string[];
  selected: string | null;
  onSought: (sought: string) => void;
  onSelect: (path: string) => void;
  onClose: () => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const here = selected === null ? -1 : found.indexOf(selected);
  function step(by: 1 | -1) {
    const next = found[(here + by + found.length) % found.length] ?? found[0];
    if (next) onSelect(next);
  }
  return (
    <search
      className="find"
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") onClose();
        if (event.key === "Enter") {
          event.preventDefault();
          step(event.shiftKey ? -1 : 1);
        }
        if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
          event.preventDefault();
          input.current?.select();
        }
      }}
    >
      <Icon name="search" size={14} />
      <input
        ref={input}
        type="search"
        aria-label="Find in the drawing"
        placeholder="Find"
        value={sought}
        onChange={(event) => onSought(event.target.value)}
      />
      <span className="faint small number" aria-live="polite">
        {sought.trim() === ""
          ? ""
          : found.length === 0
            ? "none"
            : `${here < 0 ? "–" : here + 1} of ${found.length}`}
      </span>
      <button
        type="button"
        className="icon-button"
        aria-label="Previous"
        disabled={found.length === 0}
        onClick={() => step(-1)}
      >
        <Icon name="up" />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label="Next"
        disabled={found.length === 0}
        onClick={() => step(1)}
      >
        <Icon name="down" />
      </button>
      <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
        <Icon name="cross" />
      </button>
    </search>
  );
}
