/** Try it: a scenario lived in virtual time with the tree as it stands in the editor. */

import { useEffect, useMemo, useRef, useState } from "react";
import { hub, Problem } from "../api/client";
import { useResource } from "../api/resource";
import type { JsonObject, Trial } from "../api/types";
import { Icon } from "../parts/icons";
import { ProblemNote, Segments } from "../parts/parts";
import type { OutlineNode } from "../tree/outline";
import { ScenarioForm } from "./form";
import { Outcome } from "./outcome";
import { firstScenario, mappingOf, textOf, withValue } from "./scenario";

export interface Tried {
  /** The tree's text that was tried. */
  text: string;
  trial: Trial;
}

const NEW = "";

export function TrialPanel({
  name,
  text,
  tree,
  nodes,
  tried,
  selected,
  at,
  onTried,
  onSelect,
  onClose,
}: {
  name: string;
  text: string;
  tree: JsonObject;
  nodes: Map<string, OutlineNode>;
  tried: Tried | null;
  selected: string | null;
  at: number | null;
  onTried: (tried: Tried | null) => void;
  onSelect: (path: string) => void;
  onClose: () => void;
}) {
  const listed = useResource(`scenarios ${name}`, (signal) => hub.scenarios(name, signal));
  const [chosen, setChosen] = useState<string | null>(null);
  const [written, setWritten] = useState<string | null>(null);
  const [shown, setShown] = useState<"form" | "text">("form");
  const [isOpen, setOpen] = useState<boolean | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const area = useRef<HTMLElement>(null);
  const items = listed.data?.items ?? [];
  const [first] = items;
  const choice = chosen ?? first?.name ?? NEW;
  const known = items.find((item) => item.name === choice);
  const original = useMemo(
    () => (known ? textOf(known.scenario) : firstScenario(tree)),
    [known, tree],
  );
  const scenario = written ?? original;
  const latest = useRef(scenario);
  latest.current = scenario;
  const value = useMemo(() => mappingOf(scenario), [scenario]);
  const [actions, hasApprovals] = useMemo(() => {
    const all = [...nodes.values()];
    const called = all.filter((node) => node.group === "connector").map((node) => node.verb);
    return [[...new Set(called)].sort(), all.some((node) => node.verb === "approval")];
  }, [nodes]);
  useEffect(() => area.current?.focus(), []);

  async function run() {
    if (isBusy) return;
    setBusy(true);
    try {
      onTried({ text, trial: await hub.tryTree(name, text, latest.current) });
      setProblem(null);
    } catch (error) {
      onTried(null);
      setProblem(error instanceof Problem ? error : new Problem(0, "page", String(error)));
    } finally {
      setBusy(false);
    }
  }

  const isStale = tried !== null && tried.text !== text;
  return (
    <section
      className="editor-form trial panel"
      aria-label="Try it"
      ref={area}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          // What is being typed counts, too.
          if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
          window.setTimeout(run, 0);
        }
      }}
    >
      <header className="panel-head">
        <div className="grow">
          <h2>Try it</h2>
          <p className="faint small">In virtual time, with the text as it is here. Calls nobody.</p>
        </div>
        <button
          type="button"
          className="icon-button"
          aria-label="Close the trial"
          onClick={onClose}
        >
          <Icon name="cross" />
        </button>
      </header>
      <div className="panel-body stack">
        <select
          aria-label="Scenario"
          value={choice}
          onChange={(event) => {
            setChosen(event.target.value);
            setWritten(null);
            setOpen(null);
            onTried(null);
          }}
        >
          {items.map((item) => (
            <option key={item.name}>{item.name}</option>
          ))}
          <option value={NEW}>A scenario of one's own</option>
        </select>
        {listed.data?.problems.map((one, index) => (
          <p key={index} className="small tone-bad break">
            {listed.data?.file}, line {one.line ?? "?"}: {one.message}
          </p>
        ))}
        <details
          className="trial-scenario"
          open={isOpen ?? choice === NEW}
          onToggle={(event) => setOpen(event.currentTarget.open)}
        >
          <summary>What happens in it</summary>
          <div className="stack">
            <Segments
              label="How the scenario is shown"
              value={shown}
              onChange={setShown}
              options={[
                ["form", "Form"],
                ["text", "Text"],
              ]}
            />
            {shown === "text" ? (
              <textarea
                aria-label="The scenario as YAML"
                spellCheck={false}
                rows={Math.min(24, scenario.split("\n").length + 1)}
                value={scenario}
                onChange={(event) => setWritten(event.target.value)}
              />
            ) : value ? (
              <ScenarioForm
                key={choice}
                tree={tree}
                scenario={value}
                actions={actions}
                hasApprovals={hasApprovals}
                onSet={(place, next) => setWritten(withValue(scenario, place, next))}
              />
            ) : (
              <p className="tone-bad small">The text is no YAML mapping; mend it there.</p>
            )}
          </div>
        </details>
        <button
          type="button"
          className="button primary"
          disabled={isBusy}
          onClick={run}
          title="Ctrl Enter"
        >
          <Icon name="play" /> {isBusy ? "Living it…" : tried ? "Again" : "Run"}
        </button>
        {problem && <ProblemNote problem={problem} />}
        {isStale && (
          <p className="small tone-wait">The tree has changed since: this is of before.</p>
        )}
        {tried && (
          <Outcome
            trial={tried.trial}
            hasExpectations={value?.expect !== undefined}
            selected={selected}
            at={at}
            onSelect={onSelect}
          />
        )}
      </div>
    </section>
  );
}
