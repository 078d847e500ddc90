"""Schedules among the events of a tree, and the project that they make."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.errors import InvalidDefinition
from hub.event import Event
from hub.routing.project import load_project
from hub.routing.router import Router
from hub.routing.schedules import wanted_schedules
from hub.run.schedules import scheduled
from hub.simulation import Simulation
from hub.tree import Tree, load_tree, tree_from_document
from hub.trigger import installed_triggers

INLINE = "{schedule: {cron: 0 8 * * mon-fri, timezone: Europe/Berlin}}"


def load(events: str, do: str = "  - log: hello") -> Tree:
    return load_tree(
        f"tree: report\nevents:\n{events}\nstart: due\ndo:\n{do}\n",
        file="report.yaml",
        kinds=installed_triggers(),
    )


def faults(events: str, do: str = "  - log: hello") -> list[tuple[str, str, int | None]]:
    with pytest.raises(InvalidDefinition) as caught:
        load(events, do)
    return [(d.path, f"{d.message} {d.suggestion}", d.line) for d in caught.value.diagnostics]


def test_a_schedule_in_the_tree_has_the_name_of_tree_and_event() -> None:
    due = load(f"  due: {INLINE}").subscriptions["due"]
    assert (due.kind, due.trigger) == ("schedule", "report/due")
    assert due.settings == {"cron": "0 8 * * mon-fri", "timezone": "Europe/Berlin"}


def test_a_schedule_of_the_project_is_called_by_its_name() -> None:
    due = load("  due: {schedule: mornings}").subscriptions["due"]
    assert (due.trigger, due.settings) == ("mornings", None)


def test_what_is_wrong_with_it_is_said_in_its_place() -> None:
    events = "  due:\n    schedule:\n      cron:\n        - 0 8 * * *\n        - 0 8 L * *"
    ((path, said, line),) = faults(events)
    assert (path, line) == ("events.due.schedule.cron[1]", 7)
    assert "neither last days" in said


@pytest.mark.parametrize(
    ("events", "path", "said"),
    [
        (
            f"  due: {INLINE}\n  later: {INLINE}",
            "events.later.schedule",
            "a schedule starts its tree",
        ),
        (
            f"  due: {INLINE}\n  later: {{schedule: nightly}}",
            "events.later.schedule",
            "a schedule starts its tree",
        ),
        (
            "  due: {schedule: mornings, where: event.time}",
            "events.due.where",
            "it has no `where`",
        ),
        ("  due: {schedule: mornings, key: event.time}", "events.due.key", "has no key"),
        ("  due: {webhook: {provider: none}}", "events.due.webhook", "the name of a trigger"),
        ("  due: {schedule: [1]}", "events.due.schedule", "the name of a trigger"),
    ],
)
def test_what_a_schedule_cannot_do(events: str, path: str, said: str) -> None:
    found = faults(events)
    assert any(at == path and said in text for at, text, _ in found), found


def test_an_event_that_could_never_find_its_run_is_not_sent_to_a_key() -> None:
    found = faults(
        f"  due: {INLINE}\n  approved: {{webhook: app, key: event.data.month}}",
        "  - wait_for: approved",
    )
    assert any("a schedule gives no key" in text for _, text, _ in found), found


def test_a_run_reads_its_schedule_again_without_asking_which_kinds_there_are() -> None:
    tree = load(f"  due: {INLINE}")
    again = tree_from_document(tree.document)
    assert again.subscriptions == tree.subscriptions


def test_a_summer_morning_starts_a_run() -> None:
    tree = load(f"  due: {INLINE}", "  - log: ${{ event.data.scheduled_at }} ${{ event.type }}")
    delivery = scheduled("report/due", datetime(2030, 7, 1, 6, tzinfo=UTC), "due")
    with Simulation([tree]) as simulation:
        simulation.send(delivery.event, delivery.trigger)
        (run,) = (result := simulation.run()).runs
    assert run.id == "report/~report/due@2030-07-01T06:00:00Z"
    assert run.status == "succeeded"
    assert result.logs == ["2030-07-01T06:00:00Z hub.schedule"]


def test_the_router_starts_a_tree_by_its_schedule_and_no_other() -> None:
    router = Router([load(f"  due: {INLINE}")])
    event = Event(id="1", source="/schedules/report/due", type="hub.schedule")
    assert [match.outcome for match in router.route("report/due", event)] == ["start"]
    assert router.route("other/due", event) == []


def test_the_schedules_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "hub.yaml").write_text(
        "triggers:\n  mornings: {schedule: {every: 1 day, offset: 6h}}\n"
        "  app: {webhook: {provider: none}}\n"
    )
    for name, start in {"a": INLINE, "b": "{schedule: mornings}", "c": "{webhook: app}"}.items():
        (tmp_path / f"trees/{name}.yaml").write_text(
            f"tree: {name}\nevents: {{due: {start}}}\nstart: due\ndo: [{{log: hi}}]\n"
        )
    project = load_project(tmp_path, {})
    assert project.diagnostics == []
    assert sorted(project.triggers) == ["a/due", "app", "mornings"]
    assert [(one.id, one.trigger) for one in wanted_schedules(project)] == [
        ("a/due", "a/due"),
        ("b/due", "mornings"),
    ]


def test_a_project_without_the_schedule_that_a_tree_names_says_so(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "hub.yaml").write_text("{}")
    (tmp_path / "trees/a.yaml").write_text(
        "tree: a\nevents: {due: {schedule: mornings}}\nstart: due\ndo: [{log: hi}]\n"
    )
    project = load_project(tmp_path, {})
    assert [fault.message for fault in project.diagnostics] == [
        "hub.yaml has no schedule trigger 'mornings'"
    ]
    assert wanted_schedules(project) == []
