/** Filters of a list, kept in the address, and the way through its pages. */

import { useEffect, useState } from "react";
import { go, withQuery } from "../address";
import { Icon } from "./icons";
import { Link } from "./link";

/** A filter that is chosen. The first option is no filter, and says so. */
export function FilterSelect({
  label,
  name,
  value,
  options,
}: {
  label: string;
  name: string;
  value: string | null | undefined;
  options: [string, string][];
}) {
  const known = options.some(([option]) => option === (value ?? ""));
  return (
    <select
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => go(withQuery({ [name]: event.target.value, cursor: null }))}
    >
      {options.map(([option, word]) => (
        <option key={option} value={option}>
          {word}
        </option>
      ))}
      {!known && value && <option value={value}>{value}</option>}
    </select>
  );
}

/** A filter that is typed; it takes effect when one stops typing. */
export function FilterText({
  label,
  name,
  value,
  hint,
}: {
  label: string;
  name: string;
  value: string | null | undefined;
  hint?: string;
}) {
  const [text, setText] = useState(value ?? "");
  useEffect(() => setText(value ?? ""), [value]);
  useEffect(() => {
    if (text === (value ?? "")) return;
    const timer = window.setTimeout(
      () => go(withQuery({ [name]: text.trim(), cursor: null }), { replace: true }),
      250,
    );
    return () => window.clearTimeout(timer);
  }, [text, value, name]);
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={hint ?? label}
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
  );
}

export function ClearFilters({ href }: { href: string }) {
  return (
    <Link href={href} className="button small">
      <Icon name="cross" size={14} /> Clear
    </Link>
  );
}

/** Names as options, behind the one that is no filter. */
export function optionsOf(none: string, names: string[]): [string, string][] {
  return [["", none], ...names.map((name): [string, string] => [name, name])];
}

/** Between the newest and the older ones. */
export function Pager({
  cursor,
  next,
}: {
  cursor: string | null | undefined;
  next: string | null | undefined;
}) {
  if (!cursor && !next) return null;
  return (
    <div className="foot">
      {cursor ? (
        <Link className="button small" href={withQuery({ cursor: null })}>
          <Icon name="back" size={14} /> Newest
        </Link>
      ) : (
        <span />
      )}
      {next && (
        <Link className="button small" href={withQuery({ cursor: next })}>
          Older <Icon name="chevron" size={14} />
        </Link>
      )}
    </div>
  );
}
