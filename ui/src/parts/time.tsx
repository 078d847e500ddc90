/** Times as people read them: how far away, and exactly when in their own zone. */

import { useSyncExternalStore } from "react";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** One clock for the whole page, so that everything that counts down does so together. */
const listeners = new Set<() => void>();
let ticking: number | undefined;
let now = Date.now();

function subscribe(changed: () => void): () => void {
  if (listeners.size === 0) now = Date.now();
  listeners.add(changed);
  ticking ??= window.setInterval(() => {
    now = Date.now();
    for (const listener of listeners) listener();
  }, SECOND);
  return () => {
    listeners.delete(changed);
    if (listeners.size === 0) {
      window.clearInterval(ticking);
      ticking = undefined;
    }
  };
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** A length in its two largest units: `6 d 23 h`, `1 min 5 s`, `430 ms`. */
export function span(milliseconds: number): string {
  const ms = Math.abs(milliseconds);
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1).replace(/\.0$/, "")} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  const units: [number, string][] = [
    [DAY, "d"],
    [HOUR, "h"],
    [MINUTE, "min"],
    [SECOND, "s"],
  ];
  const at = units.findIndex(([size]) => ms >= size);
  const [first, second] = [units[at], units[at + 1]];
  if (!first) return "0 s";
  let whole = Math.floor(ms / first[0]);
  let rest = second ? Math.round((ms - whole * first[0]) / second[0]) : 0;
  if (second && rest * second[0] >= first[0]) {
    whole += 1;
    rest = 0;
  }
  return `${whole} ${first[1]}${second && rest ? ` ${rest} ${second[1]}` : ""}`;
}

export function relative(milliseconds: number): string {
  if (Math.abs(milliseconds) < 5 * SECOND) return "just now";
  const ms = Math.abs(milliseconds);
  const units: [number, string][] = [
    [DAY, "d"],
    [HOUR, "h"],
    [MINUTE, "min"],
    [SECOND, "s"],
  ];
  const [size, unit] = units.find(([size]) => ms >= size) ?? [SECOND, "s"];
  const text = `${Math.floor(ms / size)} ${unit}`;
  return milliseconds < 0 ? `${text} ago` : `in ${text}`;
}

const exactly = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "long",
});
const shortly = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayly = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

export function exact(at: string | number): string {
  return exactly.format(new Date(at));
}

/** The shortest exact form: the time today, the day and time otherwise. */
export function brief(at: string | number): string {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString()
    ? shortly.format(date)
    : dayly.format(date);
}

/** A time, relative, with the exact one beside it or in its title. */
export function Time({ at, both = false }: { at: string | null | undefined; both?: boolean }) {
  const current = useNow();
  if (!at) return <span className="faint">not yet</span>;
  const distance = Date.parse(at) - current;
  return (
    <time dateTime={at} title={exact(at)}>
      {both ? (
        <>
          {brief(at)} <span className="faint">({relative(distance)})</span>
        </>
      ) : (
        relative(distance)
      )}
    </time>
  );
}

/** What is left until a time, counted down by the second. */
export function Countdown({ until, from }: { until: string; from?: number | undefined }) {
  const current = useNow();
  const left = Date.parse(until) - (from ?? current);
  return (
    <time dateTime={until} title={exact(until)}>
      {left <= 0 ? "due" : precisely(left)}
    </time>
  );
}

/** `6 d 23:59:58`, so that its width hardly changes as it counts. */
function precisely(milliseconds: number): string {
  const total = Math.ceil(milliseconds / SECOND);
  const days = Math.floor(total / 86400);
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
  return days ? `${days} d ${clock}` : clock;
}
