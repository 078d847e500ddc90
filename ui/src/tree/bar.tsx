/** The bar above a drawing: tools of whoever shows it, find, turn, show all. */

import type { ReactNode } from "react";
import { Icon } from "../parts/icons";
import type { Direction } from "./layout";

export function Bar({
  tools,
  direction,
  isFinding,
  onFind,
  onTurn,
  onShowAll,
}: {
  tools: ReactNode;
  direction: Direction;
  isFinding: boolean;
  onFind: () => void;
  onTurn: () => void;
  onShowAll: () => void;
}) {
  const turn = direction === "across" ? "Lay out downwards" : "Lay out across";
  return (
    <div className="canvas-bar">
      {tools}
      <span className="grow" />
      <button
        type="button"
        className="icon-button"
        onClick={onFind}
        aria-label="Find"
        aria-pressed={isFinding}
        title="Find (Ctrl F)"
      >
        <Icon name="search" />
      </button>
      <button type="button" className="icon-button" onClick={onTurn} aria-label={turn} title={turn}>
        <Icon name={direction === "across" ? "downward" : "across"} />
      </button>
      <button
        type="button"
        className="icon-button"
        onClick={onShowAll}
        aria-label="Show all"
        title="Show all"
      >
        <Icon name="fit" />
      </button>
    </div>
  );
}
