/** One run: its tree with the status of each node, live, and back through its past. */

import { type ReactNode, useEffect, useMemo, useState } from "react";
import { isMatch, treeAddress } from "../address";
import { hub, type Problem, runStream } from "../api/client";
import { useLive } from "../api/live";
import { useResource } from "../api/resource";
import type { NodeState, Run } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Copy, Empty, Facts, JsonView, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { Status, StatusSign, wordOf } from "../parts/status";
import { brief, Countdown, span, Time, useNow } from "../parts/time";
import { Canvas } from "../tree/canvas";
import { definedPath, findNode, type OutlineNode, runShape, Words } from "../tree/outline";
import { marksOf, momentsOf, Scrub } from "../tree/past";
import { RunActions } from "./run-actions";
import { Mailbox } from "./run-mailbox";
import { Timeline } from "./run-timeline";

const ENDED = new Set(["succeeded", "failed", "cancelled", "terminated", "timed_out", "expired"]);

export default function RunView({ id }: { id: string }) {
  const [isLive, setLive] = useState(false);
  const [isOver, setOver] = useState(false);
  const run = useResource(
    id,
    async (signal) => {
      const answer = await hub.run(id, signal);
      setOver(ENDED.has(answer.status));
      return answer;
    },
    { every: isLive ? 15_000 : isOver ? 5000 : 1000 },
  );
  const isOpen = useLive(runStream(id), {
    run: (data) => run.put(JSON.parse(data)),
    problem: () => run.refresh(),
  });
  useEffect(() => setLive(isOpen), [isOpen]);
  const { data } = run;
  if (!data) {
    return (
      <Page title={id} above={<Link href="/runs">Runs</Link>}>
        <Panel>
          {run.problem?.status === 404 && isMatch(id) ? (
            <Empty icon="runs" title="This is no run">
              It is where runs wait for an event by a value that they have learnt (
              <code>match</code>). The event says which of them have had it.{" "}
              <Link href="/events">See the journal</Link>
            </Empty>
          ) : run.problem?.status === 404 ? (
            <Empty icon="runs" title="There is no such run">
              It may be older than what Temporal keeps, or it has not begun.{" "}
              <Link href="/runs">See all runs</Link>
            </Empty>
          ) : run.problem ? (
            <ProblemNote problem={run.problem} retry={run.refresh} />
          ) : (
            <Skeleton rows={10} />
          )}
        </Panel>
      </Page>
    );
  }
  return <ShownRun run={data} problem={run.problem} refresh={run.refresh} />;
}

function ShownRun({
  run,
  problem,
  refresh,
}: {
  run: Run;
  problem: Problem | undefined;
  refresh: () => void;
}) {
  const overview = useResource("overview", hub.overview);
  const language = useResource("language", hub.language);
  const tree = useResource(`tree ${run.tree}`, (signal) => hub.tree(run.tree, signal));
  const [selected, setSelected] = useState<string | null>(null);
  const [moment, setMoment] = useState<number | null>(null);
  const words = useMemo(() => language.data && new Words(language.data), [language.data]);
  const isSameDefinition = tree.data?.hash === run.hash;
  const definition = isSameDefinition ? tree.data?.document : undefined;
  const isDrawable = !!words && (!!tree.data || !!tree.problem);

  const paths = Object.keys(run.nodes).join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape follows from the paths alone
  const roots = useMemo(
    () => (isDrawable && words ? runShape(run, definition, words) : []),
    [isDrawable, words, definition, paths],
  );
  const clock = useRunClock(run);
  const moments = useMemo(() => momentsOf(run), [run]);
  const at = moment === null ? null : (moments[moment] ?? null);
  const marks = useMemo(() => marksOf(run, roots, at, clock), [run, roots, at, clock]);
  const chosen = selected ? nodeStates(run, selected) : [];
  const chosenNode = selected ? findNode(roots, selected) : null;
  const isOver = ENDED.has(run.status);
  const shownStatus = run.status === "running" && run.waiting_for.length ? "waiting" : run.status;

  return (
    <Page
      wide
      title={run.key ?? run.id}
      above={
        <>
          <Link href="/runs">Runs</Link> <Icon name="chevron" size={12} />
          <Link href={`/runs?tree=${encodeURIComponent(run.tree)}`}>{run.tree}</Link>
          <Icon name="chevron" size={12} />
          <span className="mono clip">{run.id}</span>
          <Copy text={run.id} what="the run's id" />
        </>
      }
      actions={
        <RunActions
          run={run}
          document={definition}
          overview={overview.data}
          clock={clock}
          onDone={refresh}
        />
      }
    >
      {problem && <ProblemNote problem={problem} retry={refresh} stale />}
      <div className="run-facts panel">
        <Status status={shownStatus} />
        <span>
          <span className="faint">started</span> <Time at={run.started_at} both />
        </span>
        {isOver ? (
          <span>
            <span className="faint">lasted</span> <Lasted run={run} />
          </span>
        ) : (
          run.waiting_for.length > 0 && (
            <span>
              <span className="faint">waits for</span>{" "}
              {run.waiting_for.map((name) => (
                <span className="badge tone-wait" key={name}>
                  {name}
                </span>
              ))}
            </span>
          )
        )}
        <span>
          <span className="faint">definition</span>{" "}
          <Link href={treeAddress(run.tree)} className="mono">
            {run.hash}
          </Link>
        </span>
        {!isOver && <span className="live push">live</span>}
      </div>
      {run.error && (
        <div className="note bad">
          <Icon name="alert" />
          <div className="break">
            <strong>{run.error.code}</strong> {run.error.message}{" "}
            {run.error.path && (
              <button
                type="button"
                className="plain"
                onClick={() => setSelected(definedPath(run.error?.path ?? ""))}
              >
                Show where
              </button>
            )}
          </div>
        </div>
      )}
      {tree.data && !isSameDefinition && (
        <div className="note">
          <Icon name="alert" />
          <div>
            The tree has changed since this run began. It keeps the definition it began with; the
            nodes that it has reached are shown.
          </div>
        </div>
      )}
      <div className="run-body">
        <div className="run-canvas panel">
          {isDrawable ? (
            <Canvas
              label="The run's tree"
              roots={roots}
              marks={marks}
              selected={selected}
              onSelect={setSelected}
              empty={
                <Empty icon="runs" title="Nothing of it has begun">
                  Its nodes appear as it reaches them.
                </Empty>
              }
              foot={
                moments.length > 1 && (
                  <Scrub
                    moments={moments}
                    moment={moment}
                    onMoment={setMoment}
                    end={isOver ? "as it ended" : "now"}
                  />
                )
              }
            />
          ) : (
            <Skeleton rows={9} />
          )}
        </div>
        <aside className="run-side stack" aria-label="Details">
          {selected && chosenNode ? (
            <NodeDetails
              node={chosenNode}
              states={chosen}
              clock={clock}
              onClose={() => setSelected(null)}
            />
          ) : (
            <RunDetails run={run} />
          )}
        </aside>
      </div>
      <Panel flush title="Timeline" note={`${Object.keys(run.nodes).length} nodes so far`}>
        <Timeline run={run} clock={clock} selected={selected} onSelect={setSelected} />
      </Panel>
    </Page>
  );
}

/** The states of a node of the definition: one, or one for each round of the loops around it. */
function nodeStates(run: Run, path: string): [string, NodeState][] {
  return Object.entries(run.nodes).filter(([own]) => definedPath(own) === path);
}

/**
 * The run's own time, which on a development server may be ahead of the clock on the wall: it
 * is never before the latest thing that has happened in the run.
 */
function useRunClock(run: Run): number | undefined {
  const now = useNow();
  const latest = Math.max(0, ...momentsOf(run));
  // A little is the difference between two machines' clocks.
  return latest > now + 60_000 ? latest : undefined;
}

function Lasted({ run }: { run: Run }) {
  if (!run.started_at || !run.ended_at) return null;
  return (
    <span className="number">{span(Date.parse(run.ended_at) - Date.parse(run.started_at))}</span>
  );
}

function RunDetails({ run }: { run: Run }) {
  const hasVars = run.vars && Object.keys(run.vars).length > 0;
  return (
    <>
      <Panel title="Result">
        {run.result !== null ? (
          <JsonView value={run.result} label="The run's result" />
        ) : (
          <p className="soft">
            {ENDED.has(run.status) ? "It ended without one." : "It has none yet."} Choose a node to
            see its own.
          </p>
        )}
      </Panel>
      {hasVars && (
        <Panel title="Variables">
          <JsonView value={run.vars} label="The run's variables" />
        </Panel>
      )}
      <Mailbox run={run} />
    </>
  );
}

function NodeDetails({
  node,
  states,
  clock,
  onClose,
}: {
  node: OutlineNode;
  states: [string, NodeState][];
  clock: number | undefined;
  onClose: () => void;
}) {
  const [round, setRound] = useState(0);
  const shown = states[Math.min(round, states.length - 1)] ?? states.at(-1);
  const state = shown?.[1];
  return (
    <section className="panel node-details" aria-live="polite">
      <header className="panel-head">
        <div className="grow">
          <h2 className="break">{node.label}</h2>
          <p className="soft small break">
            {node.verb}
            {node.id && node.id !== node.label ? ` · ${node.id}` : ""}
          </p>
        </div>
        <button type="button" className="icon-button" onClick={onClose} aria-label="Close details">
          <Icon name="cross" />
        </button>
      </header>
      <div className="panel-body stack">
        {states.length > 1 && (
          <label className="row small">
            Round
            <select value={round} onChange={(event) => setRound(Number(event.target.value))}>
              {states.map(([path], index) => (
                <option key={path} value={index}>
                  {index + 1} of {states.length}: {wordOf(states[index]?.[1].status ?? "")}
                </option>
              ))}
            </select>
          </label>
        )}
        {state ? (
          <>
            <div className="lines">
              <Facts facts={factsOf(state, clock)} />
            </div>
            {state.error && (
              <div className="note bad">
                <StatusSign status="failed" />
                <div className="break">
                  <strong>{state.error.code}</strong>
                  <br />
                  {state.error.message}
                </div>
              </div>
            )}
            {state.result !== null && (
              <div>
                <h3>Result</h3>
                <JsonView value={state.result} label="The node's result" />
              </div>
            )}
          </>
        ) : (
          <p className="soft">The run has not come here.</p>
        )}
        <p className="mono faint small break">{shown?.[0] ?? node.path}</p>
      </div>
    </section>
  );
}

function factsOf(state: NodeState, clock: number | undefined): [string, ReactNode][] {
  const isOpen = state.status === "waiting" || state.status === "running";
  const took =
    state.started_at && state.ended_at
      ? span(Date.parse(state.ended_at) - Date.parse(state.started_at))
      : undefined;
  return [
    ["Status", <Status key="status" status={state.status} />],
    ["Started", state.started_at && <Time at={state.started_at} both />],
    ["Ended", state.ended_at && <Time at={state.ended_at} both />],
    ["Took", took],
    [
      "Until",
      isOpen && state.deadline && (
        <>
          {brief(state.deadline)}{" "}
          <span className="tone-wait">
            <Countdown until={state.deadline} from={clock} />
          </span>
        </>
      ),
    ],
    ["Tries", state.attempt > 0 ? state.attempt : undefined],
  ];
}
