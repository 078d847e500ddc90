"""A project's state in one file, and back; and what a journal of yesterday does."""

from __future__ import annotations

import stat
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.blobs import FileBlobs
from hub.errors import BadRequest, Conflict, NotFound
from hub.event import Event
from hub.process.backup import export_state, import_state
from hub.routing.journal import DeliveryRecord, Journal
from hub.routing.journal.backup import KEPT
from hub.routing.journal.tables import metadata, owners, sessions, sign_ins
from tests.unit.test_cli_commands import Command, command

__all__ = ["command", "contents", "fill"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ODD = "nul \0, lone surrogate \ud800, noncharacter \ufdd0, ü"


async def fill(url: str) -> None:
    journal = await Journal.open(url)
    events = [Event(id=f"e{n}", source="/t", type="t.x", data={"n": n}) for n in range(1200)]
    await journal.append("app", events)
    await journal.append("app", [events[0], Event(id=ODD, source="/t", type=ODD, data=[ODD])])
    entry = await journal.get("e1")
    record = DeliveryRecord(
        tree="t", subscription="s", key=ODD, run_id="t/k", outcome="started", at=NOW
    )
    await journal.settle(entry.seq, "delivered", [record])
    await journal.append_dead("app", Event(id="d", source="/t", type="t.x"), "why")
    await journal.pending(0, 10, owner="a process", lease=NOW - datetime(2026, 2, 28, tzinfo=UTC))
    await journal.keep_definition("h1", "t", b'{"tree":"t"}')
    await journal.close()


async def contents(url: str) -> list[Any]:
    journal = await Journal.open(url)
    try:
        page = await journal.list(limit=1000)
        rest = await journal.list(limit=1000, cursor=page.next)
        return [*page.items, *rest.items, *await journal.definitions(), await journal.counts()]
    finally:
        await journal.close()


async def test_what_is_exported_is_imported_as_it_was(tmp_path: Path) -> None:
    one, two, file = str(tmp_path / "one.db"), str(tmp_path / "two.db"), tmp_path / "hub.zip"
    await fill(one)
    blob = await FileBlobs(tmp_path / "blobs").put(b"large" * 1000)
    written = await export_state(file, one, tmp_path / "blobs")
    assert (written["journal_entries"], written["blobs"]) == (1202, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await import_state(file, two, tmp_path / "others") == written
    assert await contents(two) == await contents(one)
    assert await FileBlobs(tmp_path / "others").get(blob) == b"large" * 1000
    # It goes on after what was there: numbers are not given twice, and duplicates are known.
    journal = await Journal.open(two)
    known, new = await journal.append(
        "app", [Event(id="e5", source="/t", type="t.x"), Event(id="new", source="/t", type="t.x")]
    )
    assert (known.duplicate, new.duplicate) == (True, False)
    assert (await journal.get("new")).seq > (await journal.get("d")).seq
    # What was not settled is free for the next process.
    assert len(await journal.pending(0, 2000, owner="b", lease=NOW - NOW.replace(day=1))) > 1000
    await journal.close()


async def test_an_import_is_all_or_nothing_and_never_over_something(tmp_path: Path) -> None:
    one, two, file = str(tmp_path / "one.db"), str(tmp_path / "two.db"), tmp_path / "hub.zip"
    await fill(one)
    await export_state(file, one, tmp_path / "none")
    with pytest.raises(Conflict, match="is there already"):
        await export_state(file, one, tmp_path / "none")
    with pytest.raises(Conflict, match="not empty"):
        await import_state(file, one, tmp_path / "none")
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(damaged, "w") as part:
        for name in whole.namelist():
            body = whole.read(name)
            part.writestr(name, body[: len(body) // 2] if "deliveries" in name else body)
    with pytest.raises(BadRequest, match="damaged"):
        await import_state(damaged, two, tmp_path / "none")
    assert [e for e in await contents(two) if not isinstance(e, dict)] == []
    await import_state(file, two, tmp_path / "none")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(BadRequest, match="no export"):
        await import_state(tmp_path / "text.zip", two, tmp_path / "none")
    with pytest.raises(NotFound):
        await import_state(tmp_path / "nothing.zip", two, tmp_path / "none")
    later = tmp_path / "later.zip"
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(later, "w") as other:
        for name in whole.namelist():
            body = whole.read(name)
            other.writestr(name, body.replace(b'"format":1', b'"format":2'))
    with pytest.raises(BadRequest, match="import it with that release"):
        await import_state(later, str(tmp_path / "three.db"), tmp_path / "none")


def test_every_table_is_kept_or_left_out_on_purpose() -> None:
    assert {*KEPT, owners, sessions, sign_ins} == {*metadata.sorted_tables}


async def test_the_commands(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setenv("HUB_STATE", str(tmp_path / "one"))
    await fill(str(tmp_path / "one" / "journal.db"))
    file = str(tmp_path / "hub.zip")
    done = await command("export", file, str(project))
    assert (done.code, "journal_entries 1202" in done.out) == (0, True)
    assert (await command("import", file, str(project))).code == 1
    monkeypatch.setenv("HUB_STATE", str(tmp_path / "two"))
    assert (await command("import", file, str(project))).code == 0
    assert await contents(str(tmp_path / "two" / "journal.db")) == await contents(
        str(tmp_path / "one" / "journal.db")
    )
