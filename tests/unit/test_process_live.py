from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import InvalidDefinition, NotFound
from hub.event import Event
from hub.process.live import LiveProject
from hub.settings import read_environment
from hub.sign_in import SignInSettings

HUB = "triggers:\n  app:\n    webhook: {provider: none}\n"
TREE = """tree: {name}
events:
  begun: {{webhook: app, where: event.type == "begun", key: event.data.id}}
  more: {{webhook: app, where: event.type == "{more}", key: event.data.id}}
start: begun
do:
  - wait_for: more
"""


def write(folder: Path, name: str = "one", more: str = "more") -> Path:
    path = folder / "trees" / f"{name}.yaml"
    path.write_text(TREE.format(name=name, more=more))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hub.yaml").write_text(HUB)
    (tmp_path / "trees").mkdir()
    write(tmp_path)
    return tmp_path


def reached(live: LiveProject, kind: str) -> set[str]:
    event = Event(id="e", source="/x", type=kind, data={"id": "1"})
    return {f"{m.outcome} {m.tree}" for m in live.router.route("app", event)}


async def test_a_changed_tree_counts_at_once_and_its_former_self_still_resumes(
    folder: Path,
) -> None:
    live = LiveProject(folder)
    changed = write(folder, more="renamed")
    assert await live.reload([changed]) == []
    assert reached(live, "renamed") == {"resume one"}
    assert reached(live, "more") == {"resume one"}
    assert "start one" in reached(live, "begun")


async def test_a_wrong_tree_stays_as_it_was_while_others_change(folder: Path) -> None:
    live = LiveProject(folder)
    wrong = folder / "trees" / "one.yaml"
    wrong.write_text("tree: one\ndo: [")
    new = write(folder, "two")
    faults = await live.reload([wrong, new])
    assert [fault.file for fault in faults if fault.severity == "error"] == ["trees/one.yaml"]
    assert sorted(live.project.trees) == ["one", "two"]
    assert reached(live, "begun") == {"start one", "start two"}


@pytest.mark.parametrize("text", ["triggers: [", "triggers:\n  app: {nothing: {}}\n", None])
async def test_a_wrong_hub_yaml_leaves_triggers_and_connections(
    folder: Path, text: str | None
) -> None:
    live = LiveProject(folder)
    before = live.project
    file = folder / "hub.yaml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    faults = await live.reload([file])
    assert any(fault.severity == "error" for fault in faults)
    assert live.project.triggers == before.triggers
    assert live.connections() is before.connections
    assert reached(live, "begun") == {"start one"}


async def test_a_changed_auth_section_counts_and_a_wrong_one_stays_as_it_was(folder: Path) -> None:
    live = LiveProject(folder)
    file = folder / "hub.yaml"
    good = file.read_text()
    assert live.project.sign_in == SignInSettings()
    file.write_text(f"{good}auth: {{session: 1h}}\n")
    assert await live.reload([file]) == []
    assert live.project.sign_in == SignInSettings(session="1h")
    file.write_text(f"{good}auth: {{session: soon}}\n")
    (fault,) = await live.reload([file])
    assert (fault.path, fault.severity) == ("auth.session", "error")
    assert live.project.sign_in == SignInSettings(session="1h")


async def test_connections_are_made_anew_only_when_their_settings_may_have_changed(
    folder: Path,
) -> None:
    live = LiveProject(folder)
    first = live.connections()
    await live.reload([write(folder, more="other")])
    assert live.connections() is first
    (folder / "hub.yaml").write_text(HUB + "connections: {}\n")
    await live.reload([folder / "hub.yaml"])
    assert live.connections() is not first
    await live.close()


async def test_a_removed_tree_starts_nothing_but_its_runs_are_still_reached(folder: Path) -> None:
    live = LiveProject(folder)
    path = folder / "trees" / "one.yaml"
    path.unlink()
    await live.reload([path])
    assert live.project.trees == {}
    assert reached(live, "more") == {"resume one"}
    assert "start one" not in reached(live, "begun")


async def test_a_wrong_dotenv_is_said_and_changes_nothing(folder: Path) -> None:
    live = LiveProject(folder)
    (folder / ".env").write_text("THIS IS NONE\n")
    (fault,) = await live.reload([folder / ".env"])
    assert fault.code == "dotenv"
    with pytest.raises(InvalidDefinition):
        LiveProject(folder)


def test_the_environment_goes_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("ONE_OF_THEM=file\nOTHER_OF_THEM=file\n")
    monkeypatch.setenv("ONE_OF_THEM", "environment")
    env = read_environment(folder)
    assert (env["ONE_OF_THEM"], env["OTHER_OF_THEM"]) == ("environment", "file")


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="hub init"):
        LiveProject(tmp_path)
