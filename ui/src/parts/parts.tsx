/** The few parts that every view is made of. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Problem } from "../api/client";
import type { Json } from "../api/types";
import { Icon, type IconName } from "./icons";

export function Page({
  title,
  above,
  actions,
  children,
  wide = false,
}: {
  title: ReactNode;
  above?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}) {
  return (
    <div className={wide ? "page wide" : "page"}>
      <header className="page-head">
        <div className="page-title">
          {above && <div className="crumbs">{above}</div>}
          <h1>{title}</h1>
        </div>
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Panel({
  title,
  note,
  children,
  flush = false,
  className = "",
}: {
  title?: ReactNode;
  note?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  className?: string;
}) {
  return (
    <section className={`panel ${flush ? "flush" : ""} ${className}`}>
      {title && (
        <header className="panel-head">
          <h2>{title}</h2>
          {note && <div className="soft small">{note}</div>}
        </header>
      )}
      <div className="panel-body">{children}</div>
    </section>
  );
}

export function Empty({
  icon,
  title,
  children,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      <span className="empty-sign">
        <Icon name={icon} size={22} />
      </span>
      <h2>{title}</h2>
      {children && <div className="soft">{children}</div>}
    </div>
  );
}

/** What went wrong; above older data it says that these are old. */
export function ProblemNote({
  problem,
  retry,
  stale = false,
}: {
  problem: Problem;
  retry?: () => void;
  stale?: boolean;
}) {
  return (
    <div className="note bad" role="alert">
      <Icon name="alert" />
      <div className="grow">
        {problem.message}
        {stale && " What stands below is the last that was heard."}
      </div>
      {retry && (
        <button type="button" className="plain" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Holds the place of what is on its way, so that nothing jumps. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div className="skeleton">
      <span className="visually-hidden">Loading</span>
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} />
      ))}
    </div>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = window.setTimeout(() => setDone(false), 1500);
    return () => window.clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={done ? "Copied" : `Copy ${what}`}
      title={done ? "Copied" : `Copy ${what}`}
      onClick={() => navigator.clipboard?.writeText(text).then(() => setDone(true))}
    >
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}

export function CodeLine({ text, what }: { text: string; what: string }) {
  return (
    <div className="code-line">
      <code>{text}</code>
      <Copy text={text} what={what} />
    </div>
  );
}

export function JsonView({ value, label }: { value: Json | undefined; label: string }) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  return (
    <div className="json">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre tabIndex={0} aria-label={label} role="region">
        {tokens(text)}
      </pre>
      <Copy text={text} what={label} />
    </div>
  );
}

const TOKEN =
  /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function tokens(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(at, match.index));
    const [whole, string, colon] = match;
    const kind = colon ? "key" : string ? "string" : "literal";
    parts.push(
      <span key={match.index} className={`t-${kind}`}>
        {colon ? string : whole}
      </span>,
      colon ?? "",
    );
    at = match.index + whole.length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** A sentence of the hub's, in which names stand between backticks. */
export function Prose({ text }: { text: string }) {
  return text.split("`").map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part));
}

/** Facts as a list of names and values; what is undefined is left out. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) =>
        value === undefined || value === null || value === false ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** A dialog of the platform's own: focus stays inside, Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} className={wide ? "wide" : ""} onClose={onClose} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label="Close"
          onClick={() => dialog.current?.close()}
        >
          <Icon name="cross" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

export function Field({
  label,
  hint,
  children,
}: {
  label: string;
  hint?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="field">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children */}
      <label>
        <span className="field-name">{label}</span>
        {children}
      </label>
      {hint && <span className="field-hint">{hint}</span>}
    </div>
  );
}

/** A choice of few, in the place of a row of buttons. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: [T, string][];
  onChange: (value: T) => void;
}) {
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{label}</legend>
      {options.map(([option, word]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {word}
        </button>
      ))}
    </fieldset>
  );
}
