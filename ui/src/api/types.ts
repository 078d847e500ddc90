/** The hub's management API, in its own words. */

export type RunStatus =
  | "dormant"
  | "running"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "terminated"
  | "timed_out"
  | "expired";

export type NodeStatus =
  | "pending"
  | "running"
  | "waiting"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "skipped";

export type EventStatus = "accepted" | "delivered" | "unmatched" | "duplicate" | "dead";

export type Outcome =
  | "started"
  | "resumed"
  | "buffered"
  | "duplicate"
  | "late"
  | "no_run"
  | "ignored"
  | "filtered"
  | "rejected"
  | "failed"
  | "delivered";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface List<T> {
  items: T[];
  next: string | null;
}

export interface Failure {
  code: string;
  message: string;
  path: string;
}

export interface RunSummary {
  id: string;
  tree: string;
  key: string | null;
  status: RunStatus;
  started_at: string | null;
  ended_at: string | null;
  waiting_for: string[];
}

export interface NodeState {
  type: string;
  id: string | null;
  status: NodeStatus;
  started_at: string | null;
  ended_at: string | null;
  deadline: string | null;
  attempt: number;
  result: Json;
  error: Failure | null;
}

export interface Handled {
  id: string;
  type: string;
  outcome: Outcome;
  at: string;
  subscription: string | null;
  path: string | null;
}

export interface Run extends RunSummary {
  hash: string;
  nodes: Record<string, NodeState>;
  result: Json;
  error: Failure | null;
  vars?: JsonObject;
  mailbox?: {
    stored: { event: CloudEvent; subscriptions: string[] }[];
    handled: Handled[];
  };
}

export interface CloudEvent {
  specversion: string;
  id: string;
  source: string;
  type: string;
  subject?: string;
  time?: string;
  data?: Json;
  [extension: string]: Json | undefined;
}

export interface Delivery {
  tree: string;
  subscription: string;
  key: string | null;
  run_id: string | null;
  outcome: Outcome;
  reason: string | null;
  at: string;
}

export interface JournalEvent {
  id: string;
  trigger: string;
  event: CloudEvent;
  received_at: string;
  status: EventStatus;
  deliveries: Delivery[];
}

export interface Verdict {
  tree: string;
  subscription: string;
  outcome: Outcome | "none";
  key: string | null;
  run_id: string | null;
  reason: string | null;
  values: JsonObject;
  /** The value by which runs wait for it that learnt that value; `run_id` is then no run. */
  match: string | null;
  /** The runs that it reached. */
  runs: string[];
  woke: string | null;
}

export interface NearMiss {
  run_id: string;
  tree: string;
  subscription: string;
  key: string | null;
  reason: string;
}

export interface Explanation {
  id: string;
  trigger: string;
  type: string;
  status: EventStatus;
  duplicates: number;
  error: string | null;
  subscriptions: Verdict[];
  near_misses: NearMiss[];
}

export interface Match {
  tree: string;
  subscription: string;
  outcome: "start" | "resume" | "filtered" | "failed";
  key: string | null;
  run_id: string | null;
  reason: string | null;
}

export interface Replayed {
  of: string;
  id: string | null;
  dry_run: boolean;
  matches: Match[];
}

export interface TreeItem {
  name: string;
  hash: string;
}

/** A tree as the list shows it. */
export interface ListedTree extends TreeItem {
  title: string | null;
  description: string | null;
  /** What starts it: the event, and the trigger that it comes in at. */
  start: { event: string; kind: string | null; trigger: string | null } | null;
}

export interface TreeDocument {
  tree: string;
  title?: string;
  description?: string;
  events?: Record<string, JsonObject>;
  start?: Json;
  vars?: JsonObject;
  do?: Json;
}

export interface Tree extends TreeItem {
  document: TreeDocument;
  /** The file as it is written, where the hub gives it. */
  text?: string | null;
  file?: string | null;
  /** What a change of the file is told by; given back when it is saved. */
  etag?: string | null;
  writable?: boolean;
}

export interface Trigger {
  name: string;
  kind: string;
  url: string | null;
  provider: string | null;
  topics: string[];
  /** How often what was turned away since the process began, by the code of the error. */
  refused: Record<string, number>;
  consumer: {
    state: "starting" | "waiting" | "consuming" | "paused" | "away" | "stopped";
    detail: string | null;
    lag: number;
    dead: number;
  } | null;
}

export interface Diagnostic {
  message: string;
  path?: string;
  code?: string;
  severity?: "error" | "warning";
  suggestion?: string | null;
  file?: string | null;
  line?: number | null;
  column?: number | null;
}

export interface Overview {
  project: string;
  version: string;
  development: boolean;
  /** Where the runs' namespace begins in Temporal's own page; null where its address is not known. */
  temporal_ui: string | null;
  trees: number;
  triggers: number;
  events: Record<EventStatus, number>;
  /** How many events came in, by minute, oldest first; the last one is under way. */
  per_minute: number[];
  runs: Partial<Record<RunStatus, number>> | null;
  /** Running ones by what they wait for. */
  waiting: { tree: string; waiting_for: string; count: number }[];
  backlog: number;
  checks: { name: string; ok: boolean; detail: string | null }[];
}

export interface FieldInfo {
  key: string;
  doc: string | null;
  required: boolean;
  kind:
    | "text"
    | "expression"
    | "template"
    | "duration"
    | "number"
    | "boolean"
    | "choice"
    | "event"
    | "retry"
    | "node"
    | "nodes"
    | "cases"
    | "names"
    | "mapping"
    | "fields"
    | "any";
  choices?: string[];
  /** Those that it is made of. */
  fields?: FieldInfo[];
  default?: Json;
}

export interface VerbInfo {
  verb: string;
  group: "control" | "wait" | "action" | "connector";
  doc: string;
  primary: string | null;
  fields: FieldInfo[];
}

export interface Language {
  verbs: VerbInfo[];
  common: FieldInfo[];
  /** Those of a tree's `start`, where it is more than a name, and of its events. */
  start: FieldInfo[];
  event: FieldInfo[];
}

export interface ApprovalItem {
  id: string;
  run_id: string;
  tree: string;
  key: string | null;
  path: string;
  title: string;
  opened_at: string;
  deadline: string | null;
  quorum: number;
  approvals: number;
  waiting_on: string[];
  /** How it ended; "pending" while it is open. */
  decision: string;
  timed_out: boolean;
  ended_at: string | null;
  by: Decided[] | null;
  delegations: PassedOn[] | null;
  /** When its first reminder or escalation is due; null where it has neither. */
  due_at: string | null;
  overdue: boolean;
}

/** Open approvals by what they are in for; `reminded` and `old` are overdue. */
export interface ApprovalCounts {
  open: number;
  reminded: number;
  old: number;
  ending: number;
  at: string;
}

export interface PassedOn {
  who: string;
  to: string;
  how: string;
  at: string;
  comment?: string | null;
}

export interface HandedOver {
  who: string;
  to: string;
  at: string;
}

export interface Decided {
  who: string;
  decision: "approve" | "reject";
  how: string;
  at: string;
  comment?: string | null;
  form?: JsonObject;
}

export interface FormField {
  type: "text" | "number" | "boolean" | "choice";
  label: string | null;
  required: boolean;
  choices: string[];
}

export interface Approval {
  id: string;
  run_id: string;
  path: string;
  title: string;
  details: string | null;
  form: Record<string, Partial<FormField>>;
  decision: string;
  timed_out: boolean;
  quorum: number;
  veto: boolean;
  approvals: number;
  approvers: string[];
  by: Decided[];
  delegations?: PassedOn[];
  opened_at: string;
  deadline: string | null;
  ended_at: string | null;
  waiting_on: string[];
}

export interface Answer {
  decision: "approve" | "reject";
  who: string;
  at: string;
  outcome: string;
  approvals: number;
  quorum: number;
}

export interface Schedule {
  id: string;
  tree: string;
  subscription: string;
  trigger: string;
  status: "current" | "outdated" | "missing" | "unwanted";
  times: string[];
  timezone: string;
  paused: boolean;
  note: string;
  next: string[];
  running: string[];
}

export interface ScenarioItem {
  name: string;
  scenario: JsonObject;
}

export interface ScenarioList {
  items: ScenarioItem[];
  file: string | null;
  problems: Diagnostic[];
}

export interface SimulatedCall {
  number: number;
  run_id: string;
  path: string;
  action: string;
  arguments: JsonObject;
  at: string;
  attempt: number;
  outcome: "running" | "succeeded" | "failed" | "cancelled";
  result: Json;
  code: string | null;
  message: string | null;
}

/** A scenario as it was lived in virtual time; the run that it is about is the first. */
export interface Trial {
  passed: boolean;
  problems: Diagnostic[];
  differences: { what: string; expected: string; got: string }[];
  runs: Run[];
  calls: SimulatedCall[];
  events: {
    event: CloudEvent;
    trigger: string;
    at: string;
    status: string;
    deliveries: { tree: string; subscription: string; outcome: Outcome; reason: string | null }[];
  }[];
  decisions: {
    who: string;
    decision: string;
    at: string;
    outcome: string;
    message: string | null;
  }[];
  logs: string[];
  began: string | null;
  now: string | null;
}

export interface Connection {
  name: string;
  connector: string;
  address: string | null;
  problem: string | null;
  use: {
    at: string | null;
    action: string | null;
    failed_at: string | null;
    failure: string | null;
  };
}

/** `ok` is null where nothing can be asked without an effect. */
export interface ConnectionTest {
  ok: boolean | null;
  detail: string;
  milliseconds: number;
}

export type Role = "viewer" | "approver" | "operator" | "editor" | "admin";

/** What one may do or look at, by the names that the hub has for it. */
export type Permission =
  | `${
      | "overview"
      | "run"
      | "event"
      | "tree"
      | "trigger"
      | "schedule"
      | "connection"
      | "approval"
      | "audit"
      | "mail"}.see`
  | `run.${"cancel" | "terminate" | "forward"}`
  | `event.${"send" | "replay"}`
  | `schedule.${"trigger" | "pause" | "resume" | "backfill"}`
  | `approval.${"approve" | "reject" | "delegate"}`
  | `tree.${"save" | "try"}`
  | "connection.test";

/** Who is signed in; without a name nobody is. `csrf` goes along with what changes something. */
export interface Session {
  name: string | null;
  how: "session" | "token" | "development" | "anonymous";
  roles: Role[];
  may: string[];
  /** What they may not, with the roles of which one would be enough. */
  lacks: Record<string, Role[]>;
  project: string | null;
  csrf: string | null;
  ways: { password: boolean; provider: string | null };
}

export type AuditOutcome = "begun" | "done" | "refused" | "failed";

export interface AuditRecord {
  id: number;
  at: string;
  who: string;
  how: string;
  credential: string | null;
  address: string | null;
  action: string;
  object: string;
  outcome: AuditOutcome;
  reason: string | null;
  before: Json;
  after: Json;
}
