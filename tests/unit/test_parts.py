"""A run that goes on in a new part, at whatever point, is lived as if it had not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from hub.simulation import SimulationResult
from hub.simulation.home import SimulatedHome
from tests.stories import Story, collect_stories, essence

STORIES = 200
GROUPS = 10
# They take their time to be made up: once, by the process that tells them all.
pytestmark = pytest.mark.xdist_group("parts")


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return collect_stories(STORIES)


def story(result: SimulationResult) -> Any:
    """All that must be the same: the state, what was done, in what order, with what."""
    (run,) = result.runs
    lived = essence(run)
    # An event that was just being taken at the cut is taken up twice; its fate is the same.
    # What is waited for stands in the order of the tree when a part begins.
    lived["waiting_for"].sort()
    fates = {name: outcome for name, outcome, _, _ in lived.pop("handled")}
    calls = [(c.path, c.action, c.arguments, c.attempt, c.outcome) for c in result.calls]
    return lived, fates, calls, result.logs


def lived(told: Story, cuts: Callable[[datetime], bool]) -> SimulationResult:
    """The story, cut wherever `cuts` says so of the points where it could be."""

    def is_long(home: SimulatedHome, *, very: bool = False) -> bool:
        return not very and cuts(home.now())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedHome, "is_long", is_long)
        return told.simulate("u")


def at(point: int) -> Callable[[datetime], bool]:
    """A cut at one opportunity, counted from 0."""
    asked = itertools.count()
    return lambda now: next(asked) == point


def opportunities(told: Story) -> int:
    asked = itertools.count()
    lived(told, lambda now: next(asked) < 0)
    return next(asked)


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_cut_at_any_point_changes_nothing(stories: list[Story], group: int) -> None:
    for number in range(group, STORIES, GROUPS):
        told = stories[number]
        whole = story(told.simulate("u"))
        points = opportunities(told)
        for point in range(points):
            cut = story(lived(told, at(point)))
            assert cut == whole, f"story {number}, cut at {point} of {points}"


@pytest.mark.parametrize("group", range(GROUPS))
def test_cuts_at_every_moment_change_nothing(stories: list[Story], group: int) -> None:
    for number in range(group, STORIES, GROUPS):
        told = stories[number]
        cut: list[datetime] = []

        def due(now: datetime, cut: list[datetime] = cut) -> bool:
            # Once in a moment, so that each part comes to something.
            if now in cut:
                return False
            cut.append(now)
            return True

        assert story(lived(told, due)) == story(told.simulate("u")), f"story {number}"
