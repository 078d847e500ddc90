/** What is known of a node beside its definition. */
export interface Mark {
  status?: string | undefined;
  /** When what it waits for is over. */
  until?: string | null | undefined;
  /** The run's own time, where that is not the clock on the wall. */
  now?: number | undefined;
  note?: string | undefined;
  fault?: { severity: "error" | "warning"; message: string } | undefined;
}

export const NO_MARK: Mark = {};

export function isSameMark(one: Mark, other: Mark): boolean {
  return (
    one === other ||
    (one.status === other.status &&
      one.until === other.until &&
      one.now === other.now &&
      one.note === other.note &&
      one.fault?.message === other.fault?.message &&
      one.fault?.severity === other.fault?.severity)
  );
}
