/** The project's trees. */

import { type FormEvent, useEffect, useState } from "react";
import { go, treeAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { ListedTree } from "../api/types";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Dialog, Empty, Field, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";
import { useMay } from "../session";
import { signOf } from "./triggers";

export function TreesView() {
  const trees = useResource("trees", hub.trees, { every: 5000 });
  const [isNaming, setNaming] = useState(false);
  const may = useMay();
  useEffect(() => {
    // What a tree is opened with is there by the time that one is chosen.
    const timer = window.setTimeout(() => {
      import("./tree");
      import("../editor/text");
    }, 300);
    return () => window.clearTimeout(timer);
  }, []);
  return (
    <Page
      title="Trees"
      actions={
        trees.data?.writable &&
        may("tree.save") && (
          <button type="button" className="button primary" onClick={() => setNaming(true)}>
            <Icon name="plus" /> New tree
          </button>
        )
      }
    >
      {isNaming && (
        <NewTree
          taken={trees.data?.items.map((tree) => tree.name) ?? []}
          onClose={() => setNaming(false)}
        />
      )}
      {trees.problem && (
        <ProblemNote problem={trees.problem} retry={trees.refresh} stale={!!trees.data} />
      )}
      <Panel flush>
        {!trees.data ? (
          <Skeleton />
        ) : trees.data.items.length === 0 ? (
          <Empty icon="trees" title="The project has no trees yet">
            A tree is a file under <code>trees/</code>. A project with a working one is made by
            <CodeLine what="the command" text="hub init my-project" />
          </Empty>
        ) : (
          <ul className="lines">
            {trees.data.items.map((tree) => (
              <li key={tree.name}>
                <TreeLine tree={tree} />
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </Page>
  );
}

function TreeLine({ tree }: { tree: ListedTree }) {
  const { start } = tree;
  return (
    <div className="tree-line">
      <span className="card-sign">
        <Icon name={signOf(start?.kind)} />
      </span>
      <div className="grow">
        <Link className="whole" href={treeAddress(tree.name)}>
          {tree.title ?? tree.name}
        </Link>{" "}
        {tree.title && <span className="faint small mono">{tree.name}</span>}
        {tree.description && <p className="soft small clip">{tree.description}</p>}
      </div>
      <p className="soft small starts">
        {start ? (
          <>
            starts with <strong>{start.event}</strong>
            <span className="faint break">
              {start.kind} {start.trigger}
            </span>
          </>
        ) : null}
      </p>
      <span
        className="faint small mono hide-narrow"
        title="The definition that new runs begin with"
      >
        {tree.hash}
      </span>
      <Link className="above small" href={`/runs?tree=${encodeURIComponent(tree.name)}`}>
        Its runs
      </Link>
    </div>
  );
}

function NewTree({ taken, onClose }: { taken: string[]; onClose: () => void }) {
  const [name, setName] = useState("");
  const isFit = /^[a-z][a-z0-9_-]*$/.test(name);
  const isTaken = taken.includes(name);
  function draw(event: FormEvent) {
    event.preventDefault();
    if (isFit && !isTaken) go(`${treeAddress(name)}?new`);
  }
  return (
    <Dialog title="A new tree" onClose={onClose}>
      <form onSubmit={draw}>
        <Field
          label="Name"
          hint={
            isTaken
              ? "There is a tree of this name."
              : "Lower-case letters, digits, - and _; also the name of its file."
          }
        >
          <input
            type="text"
            required
            pattern="[a-z][a-z0-9_\-]*"
            placeholder="order-follow-up"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </Field>
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Leave it
          </button>
          <button type="submit" className="button primary" disabled={!isFit || isTaken}>
            Draw it
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
