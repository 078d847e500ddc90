"""Connecting to Temporal, with the same settings that work for the `temporal` command."""

from __future__ import annotations

from typing import Any

from temporalio.client import Client, GrpcCompression
from temporalio.envconfig import ClientConfig

from hub.errors import Unreachable
from hub.temporal.converter import DATA_CONVERTER

__all__ = ["connect"]


async def connect(address: str | None = None, *, namespace: str | None = None) -> Client:
    """A client for the given address, or for what Temporal's environment configuration names.

    Raises `Unreachable` with the address when nothing answers there.
    """
    options: dict[str, Any]
    if address is None:
        options = dict(ClientConfig.load_client_connect_config())
        options.setdefault("target_host", "localhost:7233")
    else:
        options = {"target_host": address, "grpc_compression": GrpcCompression.NONE}
    if namespace is not None:
        options["namespace"] = namespace
    try:
        return await Client.connect(data_converter=DATA_CONVERTER, **options)
    except RuntimeError as error:
        raise Unreachable(
            f"Temporal does not answer at {options['target_host']}: {error}"
        ) from None
