"""The search attributes by which runs are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

__all__ = [
    "HUB_HASH",
    "HUB_KEY",
    "HUB_STATUS",
    "HUB_TREE",
    "HUB_WAITING_FOR",
    "attributes_of",
]

HUB_TREE = SearchAttributeKey.for_keyword("HubTree")
HUB_KEY = SearchAttributeKey.for_keyword("HubKey")
HUB_STATUS = SearchAttributeKey.for_keyword("HubStatus")
HUB_HASH = SearchAttributeKey.for_keyword("HubHash")
HUB_WAITING_FOR = SearchAttributeKey.for_keyword_list("HubWaitingFor")


def attributes_of(
    tree: str,
    key: str | None,
    hash: str | None = None,  # noqa: A002
    status: str = "running",
    waiting_for: Sequence[str] = (),
) -> TypedSearchAttributes:
    """The search attributes that a run is started with.

    What is known already then need not be written by the run itself.
    """
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(HUB_TREE, tree),
        SearchAttributePair(HUB_STATUS, status),
    ]
    if hash is not None:
        pairs.append(SearchAttributePair(HUB_HASH, hash))
    if key is not None:
        pairs.append(SearchAttributePair(HUB_KEY, key))
    if waiting_for:
        pairs.append(SearchAttributePair(HUB_WAITING_FOR, list(waiting_for)))
    return TypedSearchAttributes(pairs)
