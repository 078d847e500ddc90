/** One tree: its text and its drawing, side by side. The text is what counts. */

import { useState } from "react";
import { hub } from "../api/client";
import { useResource } from "../api/resource";
import type { Tree } from "../api/types";
import { Editor } from "../editor/editor";
import { newTree } from "../editor/pieces";
import { Link } from "../parts/link";
import { Empty, Page, Panel, ProblemNote, Skeleton } from "../parts/parts";

export default function TreeView({ name, isNew }: { name: string; isNew: boolean }) {
  // A tree that was new when it was opened stays open once it is saved.
  const [began] = useState(isNew);
  const tree = useResource(`tree ${name}`, (signal) => hub.tree(name, signal));
  const triggers = useResource("triggers", hub.triggers);
  const webhook = triggers.data?.items.find((trigger) => trigger.kind === "webhook")?.name;
  if (tree.data) return <Editor key={name} tree={tree.data} reload={tree.refresh} />;
  if (began && tree.problem?.status === 404 && (triggers.data || triggers.problem)) {
    const draft: Tree = {
      name,
      hash: "",
      document: { tree: name },
      text: newTree(name, webhook),
      etag: null,
      writable: true,
    };
    return <Editor key={name} tree={draft} reload={tree.refresh} isNew />;
  }
  return (
    <Page title={name} above={<Link href="/trees">Trees</Link>}>
      <Panel>
        {tree.problem?.status === 404 && !began ? (
          <Empty icon="trees" title="The project has no such tree">
            <Link href="/trees">See its trees</Link>
          </Empty>
        ) : tree.problem && !began ? (
          <ProblemNote problem={tree.problem} retry={tree.refresh} />
        ) : (
          <Skeleton rows={10} />
        )}
      </Panel>
    </Page>
  );
}
