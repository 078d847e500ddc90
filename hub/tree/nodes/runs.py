"""The node that runs another tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from hub.errors import NodeFailed
from hub.expressions import Template
from hub.tree.node import Doc, Node, Run, node

__all__ = ["RunTree"]


@node("run", primary="tree")
class RunTree(Node):
    """Run another tree of the project as a run of its own, and wait for its result.

    The other tree sees `with` as `event.data`; its definition is the one of the time when this run
    began. If it fails, this node fails with its code; if this node is cancelled, it is cancelled too.
    With `detach` it is only started, and the result is its run's id.
    """

    tree: Annotated[str, Doc("the name of a tree of this project")]
    with_: Annotated[Template | None, Doc("what it is given: its `event.data`")] = None
    key: Annotated[
        Template | None,
        Doc("its correlation key; by default its start event's `key` decides, over `with`"),
    ] = None
    detach: Annotated[bool, Doc("only start it, and go on")] = False

    def trees(self) -> Sequence[str]:
        return (self.tree,)

    async def run(self, run: Run) -> Any:
        data = {} if self.with_ is None else run.evaluate(self.with_)
        key = None
        if self.key is not None:
            given = run.evaluate(self.key)
            if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
                raise NodeFailed(
                    "invalid_key", "`key` gives neither a text nor a number", self.path
                )
            key = str(given)
        return await run.child(self, self.tree, data, key=key, detach=self.detach)
