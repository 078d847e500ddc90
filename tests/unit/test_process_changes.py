from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.process.changes import Changes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "hub.yaml").write_text("triggers: {}\n")
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "one.yaml").write_text("tree: one\n")
    return tmp_path


async def next_of(changes: AsyncIterator[list[Path]], project: Path) -> list[str]:
    return [str(path.relative_to(project)) for path in await anext(changes)]


async def test_tells_what_changed_since_it_was_made(project: Path) -> None:
    changes = Changes(project)
    (project / "trees" / "one.yaml").write_text("tree: other\n")
    (project / "hub.yaml").unlink()
    assert await next_of(aiter(changes), project) == ["hub.yaml", "trees/one.yaml"]


async def test_sees_a_change_while_it_watches(project: Path) -> None:
    waiting = asyncio.create_task(next_of(aiter(Changes(project)), project))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    (project / "trees" / "two.yaml").write_text("tree: two\n")
    assert await waiting == ["trees/two.yaml"]


async def test_sees_files_in_folders_that_were_made_later(project: Path) -> None:
    changes = aiter(Changes(project))
    waiting = asyncio.create_task(next_of(changes, project))
    await asyncio.sleep(0.05)
    (project / "templates" / "mail").mkdir(parents=True)
    (project / "templates" / "mail" / "hello.txt").write_text("hello")
    assert await waiting == ["templates/mail/hello.txt"]
    waiting = asyncio.create_task(next_of(changes, project))
    (project / "templates" / "mail" / "hello.txt").write_text("hello again")
    assert await waiting == ["templates/mail/hello.txt"]


async def test_an_atomic_replacement_of_the_same_size_is_a_change(project: Path) -> None:
    changes = Changes(project)
    fresh = project / "trees" / ".one.yaml.swp"
    fresh.write_text("tree: two\n")
    fresh.replace(project / "trees" / "one.yaml")
    assert await next_of(aiter(changes), project) == ["trees/one.yaml"]


async def test_what_else_is_written_under_the_project_is_nobodys_concern(project: Path) -> None:
    changes = aiter(Changes(project))
    waiting = asyncio.create_task(next_of(changes, project))
    await asyncio.sleep(0.05)
    (project / ".hub").mkdir()
    (project / ".hub" / "journal.db").write_bytes(b"x")
    (project / "README.md").write_text("x")
    (project / "trees" / "one.yaml~").write_text("x")
    (project / "trees" / "one.yaml").write_text("tree: last\n")
    assert await waiting == ["trees/one.yaml"]
