/** What can be put into a tree, to be found by typing, and to be dragged or clicked in. */

import { useState } from "react";
import type { Language, VerbInfo } from "../api/types";
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
  language,
  onChoose,
  onClose,
}: {
  language: Language;
  onChoose: (info: VerbInfo) => void;
  onClose: () => void;
}) {
  const [sought, setSought] = useState("");
  const fits = (info: VerbInfo) =>
    `${info.verb} ${info.doc}`.toLowerCase().includes(sought.toLowerCase());
  const first = GROUPS.flatMap(([group]) =>
    language.verbs.filter((info) => info.group === group && fits(info)),
  )[0];
  return (
    <section
      className="palette"
      aria-label="Nodes to add"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div className="palette-head">
        <input
          type="search"
          aria-label="Find a node"
          placeholder="Find a node"
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
        {GROUPS.map(([group, title]) => {
          const verbs = language.verbs.filter((info) => info.group === group && fits(info));
          return verbs.length === 0 ? null : (
            <div key={group}>
              <h3>{title}</h3>
              <ul>
                {verbs.map((info) => (
                  <li key={info.verb}>
                    <button
                      type="button"
                      className={`palette-item group-${info.group}`}
                      draggable
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
