"""What a Temporal namespace must have before runs can live there: the hub's search attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from hub.errors import NotPrepared, Unreachable
from hub.temporal.answers import away

__all__ = ["SEARCH_ATTRIBUTES", "look", "missing", "prepare"]

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "HubTree": "Keyword",
    "HubKey": "Keyword",
    "HubStatus": "Keyword",
    "HubHash": "Keyword",
    "HubWaitingFor": "KeywordList",
    "HubApprovers": "KeywordList",
}
"""The custom search attributes that runs carry, with Temporal's names for their types."""

_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}
_RPC_TIMEOUT = timedelta(seconds=5)
_NOT_FOR_US = (
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
)
_SEEN_WITHIN = 60.0
"""Seconds within which all of a cluster's servers know of a new attribute."""


async def look(client: Client) -> None:
    """See that the namespace is there, lets the hub in, and has what runs need.

    Raises `CredentialsRefused`, `NotPrepared`, or `Unreachable` when Temporal is away.
    """
    if names := await missing(client):
        raise NotPrepared(_way_out(client, names))


async def missing(client: Client) -> list[str]:
    """The search attributes that the namespace lacks. Raises as `look` does."""
    await _describe(client)
    return sorted(await _missing(client))


async def prepare(client: Client) -> list[str]:
    """Make the search attributes that are missing; gives their names.

    It may be done by several at once. Raises as `look` does; `NotPrepared` also where the hub is
    not permitted to make them, with the way in which somebody else can.
    """
    lacking = await missing(client)
    if not lacking:
        return []
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={name: _TYPES[SEARCH_ATTRIBUTES[name]] for name in lacking},
    )
    try:
        await client.operator_service.add_search_attributes(
            request, retry=False, timeout=_RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return []
        if error.status not in _NOT_FOR_US:
            raise away(error) or NotPrepared(
                f"{_way_out(client, lacking)} (Temporal says: {error.message})"
            ) from None
        raise NotPrepared(_way_out(client, lacking)) from None
    await _until_seen(client)
    return lacking


async def _describe(client: Client) -> None:
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), retry=False, timeout=_RPC_TIMEOUT
        )
    except (RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
            raise NotPrepared(
                f"Temporal has no namespace {client.namespace!r}; set TEMPORAL_NAMESPACE to one "
                f"that it has, or make it: `temporal operator namespace create -n {client.namespace}`"
            ) from None
        raise away(error) or error from None


async def _missing(client: Client) -> Collection[str]:
    """The attributes that the namespace lacks. Raises `NotPrepared` for one of another type."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        listed = await client.operator_service.list_search_attributes(
            request, retry=False, timeout=_RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status in _NOT_FOR_US:
            # Whoever may only use the namespace learns it from a query.
            return await _not_queryable(client)
        raise away(error) or Unreachable(
            f"Temporal does not tell its search attributes: {error.message}"
        ) from None
    there = listed.custom_attributes
    for name, kind in SEARCH_ATTRIBUTES.items():
        if name in there and there[name] != _TYPES[kind]:
            other = IndexedValueType.Name(there[name]).removeprefix("INDEXED_VALUE_TYPE_")
            raise NotPrepared(
                f"the search attribute {name} of the namespace {client.namespace!r} is of the "
                f"type {other}, and the hub needs {kind}; use a namespace of the hub's own"
            )
    return [name for name in SEARCH_ATTRIBUTES if name not in there]


async def _not_queryable(client: Client) -> Collection[str]:
    missing = []
    for name in SEARCH_ATTRIBUTES:
        try:
            await client.count_workflows(f"{name} = 'hub'", rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            reason = away(error)
            if isinstance(reason, NotPrepared) or error.status == RPCStatusCode.INVALID_ARGUMENT:
                missing.append(name)
                continue
            raise reason or error from None
    return missing


async def _until_seen(client: Client) -> None:
    """Wait until queries know the new attributes: a cluster's servers learn of them one by one."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SEEN_WITHIN):
            while await _not_queryable(client):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


def _way_out(client: Client, missing: Collection[str]) -> str:
    words = " ".join(f"--name {name} --type {SEARCH_ATTRIBUTES[name]}" for name in missing)
    return (
        f"the namespace {client.namespace!r} has no search attribute{'s' * (len(missing) != 1)} "
        f"{', '.join(missing)}. `hub apply` makes them where it is permitted; else somebody who "
        f"administers the namespace does: `temporal operator search-attribute create -n "
        f"{client.namespace} {words}`, on Temporal Cloud in its page or with `tcld namespace "
        f"search-attributes add`"
    )
