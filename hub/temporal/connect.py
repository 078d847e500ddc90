"""Connecting to Temporal, with the same settings that work for the `temporal` command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.client import Client, GrpcCompression
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime

from hub.errors import InvalidSetting, Unreachable
from hub.temporal.answers import cannot_connect
from hub.temporal.codec import KeyRing
from hub.temporal.converter import data_converter

__all__ = ["check", "connect"]


async def connect(
    address: str | None = None,
    *,
    namespace: str | None = None,
    env: Mapping[str, str] | None = None,
    lazy: bool = False,
    keys: KeyRing | None = None,
    runtime: Runtime | None = None,
) -> Client:
    """A client for the given address, or for what Temporal's environment configuration names.

    `env` takes the place of the process's environment. A `lazy` client connects when it is first
    used; no worker can be made of it. With `keys` all payloads are encrypted. Raises `Unreachable` with the address when nothing answers
    there, `CredentialsRefused` when it does not let the hub in, and `InvalidSetting` for a
    configuration that cannot be read.
    """
    options: dict[str, Any]
    if address is None:
        options = _configured(env)
    else:
        options = {"target_host": address, "grpc_compression": GrpcCompression.NONE}
    if namespace is not None:
        options["namespace"] = namespace
    try:
        return await Client.connect(
            data_converter=data_converter(keys), lazy=lazy, runtime=runtime, **options
        )
    except RuntimeError as error:
        raise cannot_connect(error, options["target_host"]) from None
    except ValueError as error:
        raise InvalidSetting(f"Temporal's settings cannot be used: {error}") from None


async def check(client: Client) -> None:
    """A health check. Raises `Unreachable`."""
    try:
        serving = await client.service_client.check_health()
    except RuntimeError as error:
        raise cannot_connect(error, None) from None
    if not serving:
        raise Unreachable("Temporal is not serving")


def _configured(env: Mapping[str, str] | None) -> dict[str, Any]:
    """What profile file and TEMPORAL_* variables say, by the rules that Temporal has for them."""
    try:
        options = dict(ClientConfig.load_client_connect_config(override_env_vars=env))
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidSetting(f"Temporal's configuration cannot be used: {error}") from None
    options.setdefault("target_host", "localhost:7233")
    return options
