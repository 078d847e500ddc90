/** The views that there are for somebody. On a phone they stand below: four, and the rest on request. */

import { useEffect, useId, useState } from "react";
import type { Permission } from "./api/types";
import { Icon, type IconName } from "./parts/icons";
import { Link } from "./parts/link";

export type Entry = [path: string, name: string, icon: IconName, may: Permission];

/** So many stand beside each other on a phone; with more, the last place is for the others. */
const ABREAST = 5;

export function Nav({ entries, view }: { entries: Entry[]; view: string }) {
  const [isOpen, setOpen] = useState(false);
  const list = useId();
  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever has gone somewhere is done here
  useEffect(() => setOpen(false), [view]);
  const first = entries.length > ABREAST ? ABREAST - 1 : entries.length;
  const isAmongRest = entries.slice(first).some(([path]) => path === view);
  return (
    <nav
      aria-label="Views"
      onKeyDown={(event) => {
        if (event.key === "Escape") setOpen(false);
      }}
    >
      <ul id={list} className={isOpen ? "open" : ""}>
        {entries.map(([path, name, icon], index) => (
          <li key={path} className={index < first ? "" : "rest"}>
            <Link href={`/${path}`} {...(path === view ? { "aria-current": "page" as const } : {})}>
              <Icon name={icon} />
              {name}
            </Link>
          </li>
        ))}
      </ul>
      {entries.length > first && (
        <button
          type="button"
          className="more"
          aria-expanded={isOpen}
          aria-controls={list}
          data-current={isAmongRest}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="more" />
          More
        </button>
      )}
    </nav>
  );
}
