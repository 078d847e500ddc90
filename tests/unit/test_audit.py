from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.audit import Actor
from hub.errors import BadRequest, NotFound, Unreachable
from hub.routing.journal import Journal
from hub.secrets import redactor
from tests.unit.api_home import open_home
from tests.unit.test_api_ingress import is_problem
from tests.unit.test_api_sources import TREE, project

ADA = Actor(who="ada@example.com", how="session", address="10.0.0.7")


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(str(tmp_path / "journal.db"))
    yield journal
    await journal.close()


async def test_a_change_is_on_disk_before_it_is_done(journal: Journal) -> None:
    async with journal.audit.change(ADA, "run.cancel", "t/1", before={"status": "running"}) as one:
        (begun,) = (await journal.audit.list()).items
        assert (begun.outcome, begun.who, begun.before) == ("begun", ADA.who, {"status": "running"})
        one.after = {"status": "cancelled"}
    (done,) = (await journal.audit.list()).items
    assert (done.id, done.outcome, done.after) == (begun.id, "done", {"status": "cancelled"})
    assert (done.how, done.address, done.action, done.object) == (
        "session",
        "10.0.0.7",
        "run.cancel",
        "t/1",
    )


async def test_what_was_not_done_says_why(journal: Journal) -> None:
    for error in (NotFound("no such run"), Unreachable("away"), RuntimeError("hunter2 in a text")):
        with pytest.raises(type(error)):
            async with journal.audit.change(ADA, "run.cancel", "t/1"):
                raise error
    found = [(one.outcome, one.reason) for one in (await journal.audit.list()).items]
    assert found == [("failed", "RuntimeError"), ("failed", "away"), ("refused", "no such run")]


async def test_who_dies_in_between_leaves_it_begun(journal: Journal) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with journal.audit.change(ADA, "run.cancel", "t/1"):
            raise asyncio.CancelledError
    assert (await journal.audit.list()).items[0].outcome == "begun"


async def test_secrets_and_large_values_stay_out(journal: Journal) -> None:
    redactor.add("a-secret-of-the-audit-test")
    await journal.audit.note(
        ADA,
        "tree.save",
        "t",
        before={"text": "x" * 70_000},
        after={"text": "a-secret-of-the-audit-test!"},
    )
    (entry,) = (await journal.audit.list()).items
    assert entry.after == {"text": "[redacted]!"}
    assert set(entry.before) == {"bytes", "sha256"}


async def test_filters_and_cursor(journal: Journal) -> None:
    bob = Actor(who="bob", how="token", credential="hub_abc")
    for n in range(5):
        await journal.audit.note(ADA if n % 2 else bob, "run.cancel", f"t/{n}")
    await journal.audit.note(bob, "runaway.start", "x", outcome="refused", reason="no")
    log = journal.audit
    assert [one.object for one in (await log.list(who="bob")).items] == ["x", "t/4", "t/2", "t/0"]
    assert len((await log.list(action="run")).items) == 5
    assert len((await log.list(action="run.cancel", object="t/3")).items) == 1
    assert len((await log.list(outcome="refused")).items) == 1
    now = datetime.now(UTC)
    assert (await log.list(until=now - timedelta(hours=1))).items == []
    assert len((await log.list(since=now - timedelta(hours=1))).items) == 6
    first = await log.list(limit=4)
    await log.note(bob, "run.cancel", "later")
    rest = await log.list(limit=4, cursor=first.next)
    assert [one.object for one in [*first.items, *rest.items]] == [
        "x", "t/4", "t/3", "t/2", "t/1", "t/0",
    ]  # fmt: skip
    assert rest.next is None


CURSORS = [
    "x",
    "YTE",
    "%00",
    "é",
    base64.urlsafe_b64encode(b"a" + b"9" * 30).decode(),
    base64.urlsafe_b64encode(b"a-1").decode(),
    base64.urlsafe_b64encode(b"s1").decode(),
    base64.urlsafe_b64encode(b"a1 OR 1=1").decode(),
]


@pytest.mark.parametrize("cursor", [one for one in CURSORS if one != "YTE"])
async def test_a_cursor_that_was_tampered_with(journal: Journal, cursor: str) -> None:
    with pytest.raises(BadRequest):
        await journal.audit.list(cursor=cursor)


async def test_retention(tmp_path: Path) -> None:
    journal = await Journal.open(str(tmp_path / "journal.db"), audit_retention=timedelta(days=2))
    for n in range(3):
        await journal.audit.note(ADA, "run.cancel", f"t/{n}")
    now = datetime.now(UTC)
    await journal.prune(now + timedelta(days=1))
    assert len((await journal.audit.list()).items) == 3
    await journal.prune(now + timedelta(days=3))
    assert (await journal.audit.list()).items == []
    await journal.close()


async def test_changes_over_the_api_are_written_down(tmp_path: Path) -> None:
    async with open_home(tmp_path, files=project(tmp_path)) as home:
        home.runs.add("onboarding/u1")
        await home.client.post("/api/runs/onboarding/u1/terminate", json={"reason": "wrong"})
        await home.client.post("/api/runs/onboarding/none/cancel")
        tree = (await home.client.get("/api/trees/onboarding")).json()
        text = TREE.replace("paid  #", "thanks  #")
        answer = await home.client.put(
            "/api/trees/onboarding", json={"text": text}, headers={"if-match": tree["etag"]}
        )
        assert answer.status_code == 200, answer.text
        event = {"specversion": "1.0", "id": "e1", "source": "/t", "type": "t"}
        await home.client.post(
            "/api/events", json=event, headers={"content-type": "application/cloudevents+json"}
        )
        await home.client.post("/api/events/e1/replay", json={"again": True})
        found = (await home.client.get("/api/audit")).json()["items"]
        assert [(one["action"], one["object"], one["outcome"]) for one in found] == [
            ("event.replay", "e1", "done"),
            ("event.send", "e1", "done"),
            ("tree.save", "onboarding", "done"),
            ("run.cancel", "onboarding/none", "refused"),
            ("run.terminate", "onboarding/u1", "done"),
        ]
        assert found[2]["before"] == {"etag": tree["etag"], "text": TREE}
        assert found[2]["after"] == {"etag": answer.json()["etag"], "text": text}
        assert found[4]["after"] == {"reason": "wrong"}
        for cursor in CURSORS[:1]:
            is_problem(await home.client.get(f"/api/audit?cursor={cursor}"), 400, "bad_request")
        is_problem(
            await home.client.get("/api/audit?since=2026-01-01T00:00:00"), 400, "bad_request"
        )
