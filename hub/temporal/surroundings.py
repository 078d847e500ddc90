"""What a run finds around it in the hub's own namespace, with the hub's own workers.

A worker that is not the hub's gives it others: see `hub.temporal.standalone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from temporalio import workflow
from temporalio.common import TypedSearchAttributes

from hub.run.approvals import OpenApproval
from hub.run.decided import DecidedApproval
from hub.temporal.approvers import DECIDED_MEMO, HUB_APPROVERS, MEMO, tokens_of
from hub.temporal.attributes import HUB_HASH, HUB_WAITING_FOR, attributes_of

__all__ = ["Surroundings"]


class Surroundings:
    """Search attributes to be found by, a payload converter that knows structs, and correlators."""

    correlates = True
    """Are there correlators?"""

    def sent(self, value: msgspec.Struct) -> Any:
        """What stands for one of the hub's structs in an input."""
        return value

    def attributes(
        self,
        tree: str,
        key: str | None,
        hash: str,  # noqa: A002
    ) -> TypedSearchAttributes | None:
        """The search attributes that a child is started with."""
        return attributes_of(tree, key, hash)

    def publish_hash(self, hash: str) -> None:  # noqa: A002
        """Make the run to be found by the definition that it goes on with."""
        workflow.upsert_search_attributes([HUB_HASH.value_set(hash)])

    def publish_waiting(self, waiting: list[str]) -> None:
        """Make the run to be found by what it waits for."""
        workflow.upsert_search_attributes([HUB_WAITING_FOR.value_set(waiting)])

    def publish_approvals(
        self, approvals: Sequence[OpenApproval], decided: Sequence[DecidedApproval]
    ) -> None:
        """Make the run to be found by those who may decide something in it, or have."""
        people = tokens_of(approvals, decided)
        workflow.upsert_search_attributes(
            [HUB_APPROVERS.value_set(people) if people else HUB_APPROVERS.value_unset()]
        )
        workflow.upsert_memo(
            {
                MEMO: msgspec.to_builtins(approvals) if approvals else None,
                DECIDED_MEMO: msgspec.to_builtins(decided) if decided else None,
            }
        )
