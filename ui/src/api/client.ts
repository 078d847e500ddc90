/** Calls to the hub that served this page. */

import { inPath } from "../address";
import type {
  Answer,
  Approval,
  ApprovalCounts,
  ApprovalItem,
  AuditOutcome,
  AuditRecord,
  Connection,
  ConnectionTest,
  Diagnostic,
  EventStatus,
  Explanation,
  HandedOver,
  JournalEvent,
  Json,
  JsonObject,
  Language,
  List,
  ListedTree,
  Overview,
  Replayed,
  Run,
  RunStatus,
  RunSummary,
  ScenarioList,
  Schedule,
  Session,
  Tree,
  Trial,
  Trigger,
} from "./types";

/** What the hub answered instead of what was asked for (RFC 9457), or that it did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: Diagnostic[] = [],
  ) {
    super(detail);
  }
}

let csrf: string | null = null;
let unauthorized = () => {};

/** What each change by this page brings along, so that no other page's counts. */
export function setCsrf(value: string | null) {
  csrf = value;
}

/** Call this when the hub does not know the page's person any more. */
export function onUnauthorized(call: () => void) {
  unauthorized = call;
}

interface Options {
  signal?: AbortSignal | undefined;
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

async function answer(path: string, options: Options = {}): Promise<Response> {
  const { signal, method = "GET", body, headers = {} } = options;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(csrf && method !== "GET" ? { "x-csrf-token": csrf } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The hub does not answer. Is it still running?");
  }
  if (response.status === 401 && path !== SESSION) unauthorized();
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const problem = await response.json();
    return new Problem(response.status, problem.code, problem.detail, problem.errors ?? []);
  } catch {
    return new Problem(response.status, "unknown", `The hub answered ${response.status}.`);
  }
}

async function call<T>(path: string, options: Options = {}): Promise<T> {
  return (await answer(path, options)).json();
}

function search(values: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `?${text}` : "";
}

export interface RunFilter {
  tree?: string | null;
  key?: string | null;
  /** How the run's id or its key begins. */
  text?: string | null;
  status?: RunStatus | null;
  waiting_for?: string | null;
  limit?: number;
  cursor?: string | null;
}

export interface EventFilter {
  trigger?: string | null;
  type?: string | null;
  key?: string | null;
  status?: EventStatus | null;
  since?: string | null;
  until?: string | null;
  limit?: number;
  cursor?: string | null;
}

/** Where a run is told of as it changes. */
export const runStream = (id: string) => `/api/runs/${inPath(id)}/live`;
/** Where the journal is told of as it grows. */
export const journalStream = (filter: { trigger?: string | null; type?: string | null }) =>
  `/api/events/live${search(filter)}`;

export interface AuditFilter {
  who?: string | null;
  action?: string | null;
  object?: string | null;
  outcome?: AuditOutcome | null;
  limit?: number;
  cursor?: string | null;
}

const SESSION = "/api/session";

const eventPath = (id: string, action: string, trigger?: string | null) =>
  `/api/events/${inPath(id)}${action}${search({ trigger })}`;

export const hub = {
  session: () => call<Session>(SESSION),
  signIn: (name: string, password: string) =>
    call<Session>(SESSION, { method: "POST", body: { name, password } }),
  signOut: () => answer(SESSION, { method: "DELETE" }),
  audit: (filter: AuditFilter, signal?: AbortSignal) =>
    call<List<AuditRecord>>(`/api/audit${search(filter)}`, { signal }),

  overview: (signal?: AbortSignal) => call<Overview>("/api/overview", { signal }),
  language: (signal?: AbortSignal) => call<Language>("/api/language", { signal }),

  runs: (filter: RunFilter, signal?: AbortSignal) =>
    call<List<RunSummary>>(`/api/runs${search(filter)}`, { signal }),
  run: (id: string, signal?: AbortSignal) => call<Run>(`/api/runs/${inPath(id)}`, { signal }),
  cancelRun: (id: string) => call(`/api/runs/${inPath(id)}/cancel`, { method: "POST", body: {} }),
  terminateRun: (id: string, reason: string) =>
    call(`/api/runs/${inPath(id)}/terminate`, { method: "POST", body: { reason } }),
  forwardRun: (id: string, by: string) =>
    call(`/api/runs/${inPath(id)}/forward`, { method: "POST", body: { by } }),

  events: (filter: EventFilter, signal?: AbortSignal) =>
    call<List<JournalEvent>>(`/api/events${search(filter)}`, { signal }),
  event: (id: string, trigger?: string | null, signal?: AbortSignal) =>
    call<JournalEvent>(eventPath(id, "", trigger), { signal }),
  explain: (id: string, trigger?: string | null, signal?: AbortSignal) =>
    call<Explanation>(eventPath(id, "/explain", trigger), { signal }),
  replay: (
    id: string,
    trigger: string | null,
    options: { dry_run: boolean; mode: "starts" | "all"; again: boolean },
    signal?: AbortSignal,
  ) => call<Replayed>(eventPath(id, "/replay", trigger), { method: "POST", body: options, signal }),
  sendEvent: (trigger: string, type: string, data: Json, subject?: string) =>
    call<{ id: string; duplicate?: boolean }>(`/api/events${search({ trigger })}`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents+json" },
      body: {
        specversion: "1.0",
        id: `page-${crypto.randomUUID()}`,
        source: "/page",
        type,
        time: new Date().toISOString(),
        datacontenttype: "application/json",
        ...(subject ? { subject } : {}),
        data,
      },
    }),

  trees: (signal?: AbortSignal) =>
    call<List<ListedTree> & { writable: boolean }>("/api/trees", { signal }),
  tree: (name: string, signal?: AbortSignal) =>
    call<Tree>(`/api/trees/${encodeURIComponent(name)}`, { signal }),

  validateTree: (name: string, text: string, signal?: AbortSignal) =>
    call<{ valid: boolean; diagnostics: Diagnostic[] }>(
      `/api/trees/${encodeURIComponent(name)}/validate`,
      { method: "POST", body: { text }, signal },
    ),
  scenarios: (name: string, signal?: AbortSignal) =>
    call<ScenarioList>(`/api/trees/${encodeURIComponent(name)}/scenarios`, { signal }),
  /** Live a scenario, given as YAML, with this text of the tree: in virtual time, calling nobody. */
  tryTree: (name: string, text: string, scenario: string) =>
    call<Trial>(`/api/trees/${encodeURIComponent(name)}/try`, {
      method: "POST",
      body: { text, scenario },
    }),
  /** Save, unless it has changed since: `was` is its ETag then, null for a tree that is new. */
  saveTree: async (name: string, text: string, was: string | null) => {
    const response = await answer(`/api/trees/${encodeURIComponent(name)}`, {
      method: "PUT",
      body: { text },
      headers: was === null ? { "if-none-match": "*" } : { "if-match": was },
    });
    return (await response.json()) as Tree;
  },

  approvals: (person: string, status: "pending" | "decided", signal?: AbortSignal) =>
    call<List<ApprovalItem>>(`/api/approvals${search({ person, status, limit: 100 })}`, { signal }),
  approvalCounts: (signal?: AbortSignal) =>
    call<ApprovalCounts>("/api/approvals/counts", { signal }),
  approval: (id: string, signal?: AbortSignal) =>
    call<Approval>(`/api/approvals/${encodeURIComponent(id)}`, { signal }),
  decide: (
    id: string,
    given: {
      id: string;
      decision: "approve" | "reject";
      as: string;
      comment: string | null;
      form: JsonObject;
    },
  ) =>
    call<Answer>(`/api/approvals/${encodeURIComponent(id)}/decision`, {
      method: "POST",
      body: { ...given, how: "page" },
    }),

  delegate: (id: string, given: { id: string; to: string; as: string; comment: string | null }) =>
    call<HandedOver>(`/api/approvals/${encodeURIComponent(id)}/delegation`, {
      method: "POST",
      body: { ...given, how: "page" },
    }),

  schedules: (signal?: AbortSignal) => call<List<Schedule>>("/api/schedules", { signal }),
  actOnSchedule: (id: string, action: "trigger" | "pause" | "resume") =>
    call(`/api/schedules/${inPath(id)}/${action}`, { method: "POST", body: {} }),

  backfill: (id: string, from: string, to: string) =>
    call(`/api/schedules/${inPath(id)}/backfill`, { method: "POST", body: { from, to } }),

  connections: (signal?: AbortSignal) => call<List<Connection>>("/api/connections", { signal }),
  testConnection: (name: string) =>
    call<ConnectionTest>(`/api/connections/${encodeURIComponent(name)}/test`, {
      method: "POST",
      body: {},
    }),

  triggers: (signal?: AbortSignal) => call<List<Trigger>>("/api/triggers", { signal }),
};
