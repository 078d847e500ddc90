/** The project's trees. */

import { treeAddress } from "../address";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import { Link } from "../parts/link";
import { CodeLine, Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";

export function TreesView() {
  const trees = useResource("trees", hub.trees, { every: 5000 });
  return (
    <Page title="Trees">
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
