/** The project's trees. */

import { type FormEvent, useState } from "react";
import { go, treeAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { CodeLine, Dialog, Empty, Field, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";

export function TreesView() {
  const trees = useResource("trees", hub.trees, { every: 5000 });
  const [isNaming, setNaming] = useState(false);
  return (
    <Page
      title="Trees"
      actions={
        <button type="button" className="button primary" onClick={() => setNaming(true)}>
          <Icon name="plus" /> New tree
        </button>
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
          <table>
            <thead>
              <tr>
                <th>Tree</th>
                <th>Definition</th>
                <th>Runs</th>
              </tr>
            </thead>
            <tbody>
              {trees.data.items.map((tree) => (
                <tr key={tree.name} className="linked">
                  <td>
                    <Link className="whole" href={treeAddress(tree.name)}>
                      {tree.name}
                    </Link>
                  </td>
                  <td className="soft mono">{tree.hash}</td>
                  <td>
                    <Link className="above" href={`/runs?tree=${encodeURIComponent(tree.name)}`}>
                      Its runs
                    </Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
    </Page>
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
