"""The hub's HTTP side alone, for `benchmarks.ingest`: with a journal, or with none.

    python -m benchmarks.ingest_server PORT JOURNAL [--dispatch]

JOURNAL is a path, a PostgreSQL URL, or `none`: then the same endpoint verifies and normalises the
same request, and answers without keeping anything. It says `{"ready": ...}` once it listens.
`--dispatch` also routes what comes in and marks it, as a whole hub does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from hub.api import Services, create_app
from hub.event import Event
from hub.links import Links
from hub.process.http import listen, serve_http
from hub.process.logs import configure_logs
from hub.process.tuning import settle_memory, switch_quickly
from hub.routing.dispatcher import Dispatcher
from hub.routing.intake import JournalIntake
from hub.routing.journal import Journal
from hub.routing.router import Router
from hub.trigger import Intake, Receipt
from triggers.webhook import Webhook

SECRET = "s3cret"


class _Forgetful:
    """An intake that keeps nothing: what the journal costs is the difference."""

    async def accept(self, trigger: str, events: Sequence[Event]) -> Sequence[Receipt]:
        return [Receipt(id=event.id, duplicate=False) for event in events]


class _Project:
    """A project of one signed webhook and no tree."""

    name = "bench"

    def __init__(self) -> None:
        settings, faults = Webhook.read_settings({"provider": "hmac", "secret": SECRET}, "")
        assert settings is not None, faults
        self.triggers = {"app": Webhook("app", settings)}
        self.trees: dict[str, Any] = {}


async def serve(port: int, journal_url: str, *, dispatch: bool) -> None:
    """Serve until cancelled."""
    configure_logs()
    async with AsyncExitStack() as stack:
        keeps = journal_url != "none"
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        journal = await Journal.open(journal_url if keeps else f"{folder}/unused.db")
        stack.push_async_callback(journal.close)
        intake: Intake = _Forgetful()
        if keeps:
            intake = JournalIntake(journal, max_backlog=10_000_000)
        router = Router([])
        if dispatch:
            runs: Any = None
            dispatcher = Dispatcher(journal, runs, lambda: router, owner="bench")
            task = asyncio.create_task(dispatcher.run())
            stack.callback(task.cancel)
        project: Any = _Project()
        services = Services(
            intake=intake,
            journal=journal,
            runs=None,  # type: ignore[arg-type]
            links=Links([b"k" * 32], "http://127.0.0.1"),
            project=lambda: project,
            router=lambda: router,
            base_url="http://127.0.0.1",
        )
        listener = listen("127.0.0.1", port, what="the benchmark", setting="the port")
        serving = await stack.enter_async_context(serve_http(create_app(services), listener))
        settle_memory()
        print(json.dumps({"ready": True, "journal": journal_url}), flush=True)
        await serving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("journal")
    parser.add_argument("--dispatch", action="store_true")
    given = parser.parse_args()
    switch_quickly()
    work = serve(given.port, given.journal, dispatch=given.dispatch)
    try:
        import uvloop

        uvloop.run(work)
    except ImportError:
        asyncio.run(work)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
