"""From the journal to runs, over a real Temporal server: once, in order, and through failures."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from hub.dev.inbox import Inbox
from hub.process.backup import export_state, import_state
from hub.temporal.dev_server import DevServer
from tests.parts import eventually, hub_of, write_project

_MOMENT = timedelta(seconds=0.2)

ONBOARDING = """
tree: TREE
events:
  signed_up: {webhook: app, where: event.type == "user.signed_up", key: event.data.user_id}
  verified: {webhook: app, where: event.type == "user.email_verified", key: event.data.user_id}
start: signed_up
do:
  - id: welcome
    email.send: {to: ada@example.com, subject: Welcome, text: "run ${{ run.id }}"}
  - id: verification
    wait_for: verified
    timeout: 24h
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path, onboarding=named(ONBOARDING))


def named(text: str) -> str:
    """The tree under a name of its own: all tests share one Temporal server."""
    return text.replace("TREE", f"onboarding-{uuid.uuid4().hex[:8]}")


async def test_the_story(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address) as hub:
        started = await hub.send("user.signed_up", "u1")
        entry = await hub.settled(started)
        assert [d.outcome for d in entry.deliveries] == ["started"]
        await hub.state(hub.run_id("u1"), "running", waiting_for=["verified"])
        resumed = await hub.send("user.email_verified", "u1")
        assert (await hub.settled(resumed)).status == "delivered"
        state = await hub.state(hub.run_id("u1"), "succeeded")
        assert state.steps["verification"]["id"] == resumed
        assert [mail.subject for mail in hub.mails()] == ["Welcome"]


async def test_a_webhook_sent_twice_is_one_run_and_one_mail(
    project: Path, server: DevServer
) -> None:
    async with hub_of(project, server.address) as hub:
        for _ in range(3):
            await hub.send("user.signed_up", "u1", id="evt-1")
        entry = await hub.settled("evt-1")
        assert entry.duplicates == 2
        await hub.state(hub.run_id("u1"), "running", waiting_for=["verified"])
        assert len((await hub.runs.list(tree=hub.tree, key="u1")).items) <= 1
        assert len(hub.mails()) == 1


async def test_verified_before_the_run_waits_for_it(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address, smtp=False) as hub:
        await hub.settled(await hub.send("user.signed_up", "u1"))
        await hub.settled(await hub.send("user.email_verified", "u1"))
        # The mail cannot be sent yet, so the wait has not begun; the event is kept.
        state = await hub.state(hub.run_id("u1"), "running")
        assert [handled.outcome for handled in state.mailbox.handled] == ["started", "buffered"]
        port = hub.project.connections.overrides["email"]["port"]
        inbox = Inbox(project / "mail")
        await inbox.start("127.0.0.1", port)
        try:
            state = await hub.state(hub.run_id("u1"), "succeeded")
        finally:
            await inbox.close()
        assert [handled.outcome for handled in state.mailbox.handled][-1] == "resumed"


async def test_smtp_down_is_tried_again_and_shown(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address, smtp=False) as hub:
        await hub.settled(await hub.send("user.signed_up", "u1"))

        async def failing() -> bool:
            node = (await hub.runs.show(hub.run_id("u1"))).nodes.get("do[0]")
            return node is not None and node.error is not None and node.attempt >= 2

        assert await eventually(failing)
        node = (await hub.runs.show(hub.run_id("u1"))).nodes["do[0]"]
        assert node.error is not None
        assert node.error.code == "smtp_unavailable"
        assert node.status == "running"


async def test_verified_for_nobody_is_unmatched(project: Path, server: DevServer) -> None:
    async with hub_of(project, server.address) as hub:
        entry = await hub.settled(await hub.send("user.email_verified", "nobody"))
        assert entry.status == "unmatched"
        assert [d.outcome for d in entry.deliveries] == ["no_run"]
        entry = await hub.settled(await hub.send("something.else", "nobody"))
        assert (entry.status, entry.deliveries) == ("unmatched", [])


async def test_accepted_before_the_crash_is_delivered_after_it(
    project: Path, server: DevServer
) -> None:
    async with hub_of(project, server.address, dispatching=False, working=False) as hub:
        for number in range(20):
            await hub.send("user.signed_up", f"u{number}", id=f"evt-{number}")
    async with hub_of(project, server.address) as hub:
        for number in range(20):
            await hub.settled(f"evt-{number}")
            await hub.state(hub.run_id(f"u{number}"), "running", waiting_for=["verified"])
        assert len(hub.mails()) == 20


async def test_a_crash_between_the_start_and_its_mark(project: Path, server: DevServer) -> None:
    quick = ONBOARDING[: ONBOARDING.index("  - id: verification")]
    write_project(project, onboarding=named(quick))
    async with hub_of(project, server.address, dispatching=False) as hub:
        await hub.send("user.signed_up", "u1", id="evt-1")
        # What a dispatcher does up to the moment at which it dies.
        (entry,) = await hub.journal.pending(0, 1, owner="dying", lease=_MOMENT)
        record = await hub.attempted(entry)
        assert record.outcome == "started"
        ended = (await hub.state(hub.run_id("u1"), "succeeded")).ended_at
    await asyncio.sleep(_MOMENT.total_seconds())
    async with hub_of(project, server.address) as hub:
        entry = await hub.settled("evt-1")
        assert [d.outcome for d in entry.deliveries] == ["started"]
        assert (await hub.runs.show(hub.run_id("u1"))).ended_at == ended
        assert len(hub.mails()) == 1


async def test_temporal_is_killed_while_webhooks_keep_coming(project: Path, tmp_path: Path) -> None:
    db = tmp_path / "temporal.db"
    # Outside the range that the system gives to clients: one that calls again and again at an
    # address where nobody listens may otherwise come to hold the port itself.
    port = next(filter(_is_free, range(21000, 31000, 7)))
    async with DevServer(db=db, port=port) as server, hub_of(project, server.address) as hub:
        sent = [await hub.send("user.signed_up", f"u{n}", id=f"evt-{n}") for n in range(30)]
        _kill(server)
        sent += [await hub.send("user.signed_up", f"u{n}", id=f"evt-{n}") for n in range(30, 60)]
        async with DevServer(db=db, port=port):
            sent += [
                await hub.send("user.signed_up", f"u{n}", id=f"evt-{n}") for n in range(60, 80)
            ]
            for number, event_id in enumerate(sent):
                entry = await hub.settled(event_id)
                assert [d.outcome for d in entry.deliveries] == ["started"], number
            for number in range(80):
                await hub.state(hub.run_id(f"u{number}"), "running", waiting_for=["verified"])
            texts = [mail.text for mail in hub.mails() if not mail.repeated]
            assert len(texts) == len(set(texts)) == 80


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _kill(server: DevServer) -> None:
    process = server._process
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)


async def test_a_journal_of_yesterday_repeats_nothing(project: Path, server: DevServer) -> None:
    """What was accepted by then is delivered again; runs and Temporal recognise what they had."""
    journal, backup = project / "journal.db", project / "yesterday.zip"
    async with hub_of(project, server.address, dispatching=False, working=False) as hub:
        started = await hub.send("user.signed_up", "u1")
        waiting = await hub.send("user.signed_up", "u2")
        early = await hub.send("user.email_verified", "u1")
        await export_state(backup, str(journal), project / "blobs")
    async with hub_of(project, server.address) as hub:
        # After the backup: all of it is delivered, and one event more, of which it does not know.
        for one in (started, waiting, early):
            await hub.settled(one)
        await hub.state(hub.run_id("u1"), "succeeded")
        await hub.state(hub.run_id("u2"), "running", waiting_for=["verified"])
        lost = await hub.send("user.email_verified", "u2")
        await hub.state(hub.run_id("u2"), "succeeded")
        mails = len(hub.mails())
        assert mails == 2
    for file in project.glob("journal.db*"):
        file.unlink()
    await import_state(backup, str(journal), project / "blobs")
    async with hub_of(project, server.address) as hub:
        for one in (started, waiting, early):
            assert (await hub.settled(one)).status == "delivered"
        # A sender that had its answer for what is lost now, and sends it once more.
        again = await hub.send("user.email_verified", "u2", id=lost)
        entry = await hub.settled(again)
        # Temporal may recognise the request itself, and say nothing of the run.
        entry = await hub.settled(again)
        assert {d.outcome for d in entry.deliveries} <= {"no_run", "duplicate", "delivered"}
        assert len(hub.mails()) == mails
        for key, used in (("u1", early), ("u2", lost)):
            state = await hub.runs.show(hub.run_id(key))
            assert state.status == "succeeded"
            assert state.steps["verification"]["id"] == used
