/** Which sign stands for which verb. */

import type { IconName } from "../parts/icons";

const SIGNS: Record<string, IconName> = {
  sequence: "sequence",
  fallback: "fallback",
  parallel: "parallel",
  race: "parallel",
  if: "branch",
  switch: "branch",
  while: "loop",
  repeat: "loop",
  for_each: "loop",
  try: "shield",
  saga: "shield",
  invert: "fallback",
  always: "shield",
  run: "tree",
  delay: "delay",
  wait_for: "wait_for",
  approval: "approvals",
  set: "set",
  check: "check",
  log: "log",
  emit: "send",
  fail: "cross",
  succeed: "check",
};

const CONNECTORS: Record<string, IconName> = {
  email: "mail",
  sql: "database",
  kafka: "parallel",
  http: "call",
};

export function iconOf(verb: string): IconName {
  return SIGNS[verb] ?? CONNECTORS[verb.split(".")[0] ?? ""] ?? "call";
}
