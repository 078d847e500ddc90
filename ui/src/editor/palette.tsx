/** Verbs to be found by typing: to be put into a tree by a click or a drag, or around a node. */

import { useState } from "react";
import type { VerbInfo } from "../api/types";
import { Icon } from "../parts/icons";
import { iconOf } from "../tree/kinds";

const GROUPS: [VerbInfo["group"], string][] = [
  ["connector", "Actions"],
  ["wait", "Waits"],
  ["action", "Steps"],
  ["control", "Control"],
];

export const DRAGGED_VERB = "application/x-hub-verb";

export function Palette({
  label,
  verbs,
  isDraggable = false,
  onChoose,
  onClose,
}: {
  label: string;
  verbs: VerbInfo[];
  isDraggable?: boolean;
  onChoose: (info: VerbInfo) => void;
  onClose: () => void;
}) {
  const [sought, setSought] = useState("");
  const fits = (info: VerbInfo) =>
    `${info.verb} ${info.doc}`.toLowerCase().includes(sought.toLowerCase());
  const found = GROUPS.flatMap(([group]) =>
    verbs.filter((info) => info.group === group && fits(info)),
  );
  const named = found.find((info) => info.verb.startsWith(sought.toLowerCase()));
  const first = named ?? found[0];
  return (
    <section
      className="palette"
      aria-label={label}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div className="palette-head">
        <input
          type="search"
          aria-label="Find a node"
          placeholder={label}
          // biome-ignore lint/a11y/noAutofocus: it was opened to be typed into
          autoFocus
          value={sought}
          onChange={(event) => setSought(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && first) onChoose(first);
          }}
        />
        <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="cross" />
        </button>
      </div>
      <div className="palette-list">
        {found.length === 0 && <p className="soft small pad">Nothing of that name.</p>}
        {GROUPS.map(([group, title]) => {
          const listed = found.filter((info) => info.group === group);
          return listed.length === 0 ? null : (
            <div key={group}>
              <h3>{title}</h3>
              <ul>
                {listed.map((info) => (
                  <li key={info.verb}>
                    <button
                      type="button"
                      className={`palette-item group-${info.group} ${info === first && sought ? "first" : ""}`}
                      draggable={isDraggable}
                      title={info.doc}
                      onDragStart={(event) => {
                        event.dataTransfer.setData(DRAGGED_VERB, info.verb);
                        event.dataTransfer.effectAllowed = "copy";
                      }}
                      onClick={() => onChoose(info)}
                    >
                      <span className="card-icon">
                        <Icon name={iconOf(info.verb)} size={15} />
                      </span>
                      <span className="clip">{info.verb}</span>
                    </button>
                  </li>
                ))}
              </ul>
            </div>
          );
        })}
      </div>
    </section>
  );
}
