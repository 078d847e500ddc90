"""What all tests share: how they are spread over processes, and how free property tests are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import kafka
from tests.journals import copied_journals

__all__ = ["copied_journals"]

ROOM = Path(__file__).parent

# A run that decides about a change tells the same of the same code each time. Everywhere else
# property tests go on looking.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests are spread over processes, those that share a costly server stay together."""
    for item in items:
        group = _group(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def order_groups(items: list[pytest.Item]) -> None:
    """What is given out whole comes first, and the longest of it before all else.

    The many small tests that are left then fill all processes up to the same moment.
    """
    items.sort(key=lambda item: {"kafka": 0, None: 2}.get(_group(item), 1))


def _group(item: pytest.Item) -> str | None:
    if "kafka" in getattr(item, "fixturenames", ()):
        return "kafka"
    relative = item.path.relative_to(ROOM)
    return None if relative.parts[0] == "unit" else relative.as_posix()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["kafka"] = kafka.used


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    kafka.used.extend(getattr(node, "workeroutput", {}).get("kafka", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    kafka.summarise(terminalreporter)
