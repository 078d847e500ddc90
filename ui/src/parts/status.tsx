/** A status is always said three ways: by sign, by colour, and by word. */

import type { ReactNode } from "react";

type Tone = "good" | "busy" | "wait" | "bad" | "stop" | "idle";

const TONES: Record<string, { tone: Tone; word: string; sign: ReactNode }> = {};

function tell(tone: Tone, sign: ReactNode, words: Record<string, string>): void {
  for (const [status, word] of Object.entries(words)) TONES[status] = { tone, word, sign };
}

const check = <path d="m4.8 8.3 2.3 2.3 4.2-4.8" />;
const cross = <path d="m5.7 5.7 4.6 4.600m0-4.6-4.6 4.6" />;
const hands = <path d="M8 4.600V8l2.3 1.4" />;

tell("good", check, {
  succeeded: "succeeded",
  approved: "approved",
  delivered: "delivered",
  started: "started",
  resumed: "resumed",
  start: "starts",
  resume: "resumes",
});
tell("busy", <path d="M6.8 5.4 10.6 8l-3.8 2.600z" fill="currentColor" />, {
  running: "running",
  accepted: "on its way",
});
tell("wait", hands, { waiting: "waiting", buffered: "kept for later", dormant: "dormant" });
tell("bad", cross, {
  failed: "failed",
  dead: "dead letter",
  rejected: "rejected",
});
tell("bad", hands, { timed_out: "timed out", late: "too late" });
tell("stop", <path d="M5 8h6" />, { cancelled: "cancelled", expired: "expired" });
tell("stop", <path d="M6 6h4v4H6z" fill="currentColor" />, { terminated: "terminated" });
tell("idle", <path d="M8 8h.01" />, {
  pending: "to come",
  unmatched: "unmatched",
  none: "not delivered",
  untested: "not to be tested",
  no_run: "no run",
});
tell("idle", <path d="M5.5 5.5 8 8l-2.5 2.500M8.5 5.5 11 8l-2.5 2.5" />, {
  skipped: "skipped",
  ignored: "not needed",
  filtered: "filtered out",
});
tell("idle", <path d="M6 8h4M8 6v4" />, { duplicate: "duplicate" });

const unknown = { tone: "idle" as const, word: "", sign: <path d="M8 8h.01" /> };

export function toneOf(status: string): Tone {
  return (TONES[status] ?? unknown).tone;
}

export function wordOf(status: string): string {
  return TONES[status]?.word ?? status.replaceAll("_", " ");
}

export function StatusSign({ status, size = 16 }: { status: string; size?: number }) {
  const { tone, sign } = TONES[status] ?? unknown;
  const isOpen = status === "pending" || tone === "idle";
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.6}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className={`sign tone-${tone}${status === "running" ? " turns" : ""}`}
    >
      <circle cx="8" cy="8" r="6.5" strokeDasharray={isOpen ? "2.2 1.9" : undefined} />
      {sign}
    </svg>
  );
}

export function Status({ status, note }: { status: string; note?: string | undefined }) {
  return (
    <span className={`status tone-${toneOf(status)}`}>
      <StatusSign status={status} />
      <span>
        {wordOf(status)}
        {note ? ` ${note}` : ""}
      </span>
    </span>
  );
}
