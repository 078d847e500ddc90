/** What may be done to a run. */

import { type FormEvent, useState } from "react";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { Json, Overview, Run, TreeDocument } from "../api/types";
import { Icon } from "../parts/icons";
import { Dialog, Field, ProblemNote } from "../parts/parts";
import { span } from "../parts/time";
import { useMay } from "../session";
import { draftOf } from "../tree/draft";
import { isObject } from "../tree/outline";

type Open = "send" | "cancel" | "terminate" | null;

export function RunActions({
  run,
  document,
  overview,
  clock,
  onDone,
}: {
  run: Run;
  document: TreeDocument | undefined;
  overview: Overview | undefined;
  clock: number | undefined;
  onDone: () => void;
}) {
  const [open, setOpen] = useState<Open>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isLive = run.status === "running" || run.status === "dormant";
  const may = useMay();
  const next = nextDeadline(run);
  async function forward() {
    if (next === null) return;
    setBusy(true);
    try {
      const seconds = Math.max(1, Math.ceil((next - (clock ?? Date.now())) / 1000));
      await hub.forwardRun(run.id, `${seconds}s`);
      setProblem(null);
      onDone();
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      {problem && <ProblemNote problem={problem} />}
      {isLive && overview?.development && next !== null && may("run.forward") && (
        <button
          type="button"
          className="button"
          disabled={isBusy}
          onClick={forward}
          title={`The run's own clock jumps ${span(next - (clock ?? Date.now()))} ahead`}
        >
          <Icon name="forward" /> {isBusy ? "Forwarding…" : "To the next timer"}
        </button>
      )}
      {isLive && may("event.send") && (
        <button type="button" className="button" onClick={() => setOpen("send")}>
          <Icon name="send" /> Send an event
        </button>
      )}
      {isLive && may("run.cancel") && (
        <button type="button" className="button danger" onClick={() => setOpen("cancel")}>
          <Icon name="cross" /> Cancel
        </button>
      )}
      {isLive && may("run.terminate") && (
        <button type="button" className="button danger" onClick={() => setOpen("terminate")}>
          <Icon name="stop" /> Terminate
        </button>
      )}
      {overview?.temporal_ui && (
        <a
          className="button"
          target="_blank"
          rel="noreferrer"
          href={`${overview.temporal_ui}/workflows/${encodeURIComponent(run.id)}`}
        >
          <Icon name="outside" /> Temporal
        </a>
      )}
      {open === "send" && (
        <SendDialog run={run} document={document} onClose={() => setOpen(null)} onDone={onDone} />
      )}
      {(open === "cancel" || open === "terminate") && (
        <EndDialog run={run} how={open} onClose={() => setOpen(null)} onDone={onDone} />
      )}
    </>
  );
}

function nextDeadline(run: Run): number | null {
  const open = Object.values(run.nodes)
    .filter((node) => (node.status === "waiting" || node.status === "running") && node.deadline)
    .map((node) => Date.parse(node.deadline ?? ""));
  return open.length ? Math.min(...open) : null;
}

function EndDialog({
  run,
  how,
  onClose,
  onDone,
}: {
  run: Run;
  how: "cancel" | "terminate";
  onClose: () => void;
  onDone: () => void;
}) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  async function end(event: FormEvent) {
    event.preventDefault();
    try {
      if (how === "cancel") await hub.cancelRun(run.id);
      else await hub.terminateRun(run.id, reason || "terminated from the page");
      onClose();
      onDone();
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
  }
  return (
    <Dialog title={how === "cancel" ? "Cancel this run?" : "Terminate this run?"} onClose={onClose}>
      <form onSubmit={end}>
        <p className="soft">
          {how === "cancel"
            ? "It is asked to stop. Its finally and undo parts still run, then it ends as cancelled."
            : "It ends at once. Nothing of it runs any more: no finally, no undo."}
        </p>
        {how === "terminate" && (
          <Field label="Why" hint="Kept in Temporal's history.">
            <input type="text" value={reason} onChange={(event) => setReason(event.target.value)} />
          </Field>
        )}
        {problem && <ProblemNote problem={problem} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Keep it
          </button>
          <button type="submit" className="button primary">
            {how === "cancel" ? "Cancel the run" : "Terminate the run"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function SendDialog({
  run,
  document,
  onClose,
  onDone,
}: {
  run: Run;
  document: TreeDocument | undefined;
  onClose: () => void;
  onDone: () => void;
}) {
  const triggers = useResource("triggers", hub.triggers);
  const events = document?.events ?? {};
  const drafts = Object.entries(events)
    .filter(([, subscription]) => isObject(subscription))
    .map(([name, subscription]) => draftOf(name, subscription, run.key));
  drafts.sort((a, b) => Number(isAwaited(run, b.name)) - Number(isAwaited(run, a.name)));
  const [first] = drafts;
  const [name, setName] = useState(first?.name ?? "");
  const [trigger, setTrigger] = useState(first?.trigger ?? "api");
  const [type, setType] = useState(first?.type ?? "");
  const [data, setData] = useState(JSON.stringify(first?.data ?? {}, null, 2));
  const [problem, setProblem] = useState<Problem | null>(null);
  function choose(chosen: string) {
    setName(chosen);
    const draft = drafts.find((one) => one.name === chosen);
    if (!draft) return;
    setTrigger(draft.trigger);
    setType(draft.type);
    setData(JSON.stringify(draft.data, null, 2));
  }
  async function send(event: FormEvent) {
    event.preventDefault();
    let parsed: Json;
    try {
      parsed = JSON.parse(data || "null");
    } catch (error) {
      setProblem(new Problem(0, "json", `The data is no JSON: ${(error as Error).message}`));
      return;
    }
    try {
      await hub.sendEvent(trigger, type, parsed);
      onClose();
      onDone();
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
  }
  return (
    <Dialog title="Send an event" onClose={onClose}>
      <form onSubmit={send}>
        {drafts.length > 0 && (
          <Field label="As" hint="What the tree calls it; the rest is filled in from its filter.">
            <select value={name} onChange={(event) => choose(event.target.value)}>
              {drafts.map((draft) => (
                <option key={draft.name} value={draft.name}>
                  {draft.name}
                  {isAwaited(run, draft.name) ? ", which the run waits for" : ""}
                </option>
              ))}
            </select>
          </Field>
        )}
        <Field label="Trigger" hint="It enters here as if it had been received and verified.">
          <select value={trigger} onChange={(event) => setTrigger(event.target.value)}>
            {[...new Set(["api", trigger, ...(triggers.data?.items ?? []).map((t) => t.name)])].map(
              (one) => (
                <option key={one}>{one}</option>
              ),
            )}
          </select>
        </Field>
        <Field label="Type">
          <input
            type="text"
            required
            value={type}
            placeholder="user.email_verified"
            onChange={(event) => setType(event.target.value)}
          />
        </Field>
        <Field label="Data">
          <textarea
            rows={6}
            spellCheck={false}
            value={data}
            onChange={(event) => setData(event.target.value)}
          />
        </Field>
        {problem && <ProblemNote problem={problem} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="button primary">
            <Icon name="send" /> Send
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function isAwaited(run: Run, name: string): boolean {
  return run.waiting_for.includes(name);
}
