"""Random trees with random events: what property tests of the simulation and of Temporal share.

A node kind takes part by one entry in `KINDS`. Every length of time in a story is another one, so
that no two things fall on the same moment by chance: their order would be nobody's promise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused
from hub.event import Event
from hub.expressions import compile_expression
from hub.run import Delivery
from hub.simulation import Mock, MockFailure, SimulatedRun, Simulation, SimulationResult
from hub.tree import NODES, Tree, read_tree

__all__ = ["KINDS", "Act", "Story", "collect_stories", "stories"]

EVENTS = ("first", "second")
GAP = timedelta(minutes=5)
"""How far apart, at least, the moments of a story are: real servers take a while, too."""
_EARLY = datetime(2030, 1, 1, tzinfo=UTC)

Document = dict[str, Any]


@dataclass
class Author:
    """Writes one story: draws, and knows what has been used already."""

    draw: Callable[..., Any]
    used: set[int] = field(default_factory=set)
    acts: list[tuple[int, str]] = field(default_factory=list)
    names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def span(self) -> str:
        """A length of time that the story has not used yet."""
        minutes = self.draw(st.integers(10, 200_000).filter(lambda m: m not in self.used))
        self.used.add(minutes)
        return f"{minutes}m"

    def chance(self, of: int = 2) -> bool:
        return bool(self.draw(st.integers(1, of)) == of)

    def nodes(self, depth: int, least: int = 1, most: int = 3) -> list[Document]:
        return [self.node(depth) for _ in range(self.draw(st.integers(least, most)))]

    def node(self, depth: int) -> Document:
        kinds = [k for k in (*KINDS, *_OFTEN) if k in NODES or k == "act"]
        if depth <= 0:
            kinds = [kind for kind in kinds if not KINDS[kind][0]]
        kind = self.draw(st.sampled_from(kinds))
        made: Document = KINDS[kind][1](self, depth - 1)
        if self.chance(6) and kind != "if":
            made["if"] = self.condition()
        if self.chance(2 if kind == "wait_for" else 5):
            made["timeout"] = self.span()
        if self.chance(5) and kind != "act":
            made["retry"] = {"attempts": 2, "backoff": self.span(), "factor": 1}
        if self.chance(8):
            made["abort_on"] = self.draw(st.sampled_from(EVENTS))
        if self.chance(3):
            made["id"] = f"n{next(self.names)}"
        return made

    def condition(self) -> str:
        return str(self.draw(st.sampled_from(["true", "false", "vars.count > 1", "run.key"])))

    def branches(self, depth: int) -> list[Document]:
        """What runs side by side: each begins after a while of its own."""
        return [
            {"sequence": [{"delay": self.span()}, *self.nodes(depth, most=2)]}
            for _ in range(self.draw(st.integers(1, 3)))
        ]


def _act(author: Author, depth: int) -> Document:
    number = len(author.acts) + 1
    mode = author.draw(st.sampled_from(["ok", "ok", "ok", "refused", "flaky"]))
    author.acts.append((number, mode))
    made: Document = {"test.act": {"n": number, "mode": mode, "seen": "${{ vars.count }}"}}
    if author.chance():
        made["retry"] = {"attempts": author.draw(st.integers(1, 4)), "backoff": author.span()}
        if author.chance(4):
            made["retry"]["unless"] = ["flaky"]
    return made


def _wait_for(author: Author, depth: int) -> Document:
    made: Document = {"wait_for": author.draw(st.sampled_from(EVENTS))}
    if author.chance(3):
        made["since"] = "wait"
    if author.chance(3):
        made["late"] = "keep"
    return made


def _parallel(author: Author, depth: int) -> Document:
    branches = author.branches(depth)
    made: Document = {"parallel": branches}
    for threshold in ("success", "failure"):
        if author.chance(3):
            made[threshold] = author.draw(st.integers(1, len(branches)))
    return made


def _if(author: Author, depth: int) -> Document:
    made: Document = {"if": author.condition(), "then": author.nodes(depth, most=2)}
    if author.chance():
        made["else"] = author.nodes(depth, most=2)
    return made


def _switch(author: Author, depth: int) -> Document:
    cases = {"0": author.nodes(depth, most=2), "1": author.nodes(depth, most=2)}
    made: Document = {"switch": "vars.count", "cases": cases}
    if author.chance():
        made["default"] = author.node(depth)
    return made


def _while(author: Author, depth: int) -> Document:
    body = [*author.nodes(depth, most=2), {"set": {"count": "${{ vars.count + 1 }}"}}]
    return {"while": "vars.count < 3", "do": body, "max": 3}


def _repeat(author: Author, depth: int) -> Document:
    made: Document = {"repeat": author.draw(st.integers(0, 3)), "do": author.nodes(depth, most=2)}
    if author.chance(3):
        made["until"] = author.condition()
    return made


def _for_each(author: Author, depth: int) -> Document:
    # Each item begins after a while of its own.
    items = [author.span() for _ in range(author.draw(st.integers(0, 3)))]
    return {
        "for_each": {"in": items, "as": "pause", "concurrency": author.draw(st.integers(1, 3))},
        "do": [{"delay": "${{ pause }}"}, *author.nodes(depth, most=2)],
    }


def _try(author: Author, depth: int) -> Document:
    made: Document = {"try": author.nodes(depth, most=2)}
    if author.chance():
        made["catch"] = [{"set": {"count": "${{ vars.count + (error.code | length) }}"}}]
        made["catch"] += author.nodes(depth, most=2)
        if author.chance(3):
            made["only"] = ["timeout", "refused"]
    if "catch" not in made or author.chance():
        made["finally"] = author.nodes(depth, most=2)
    return made


def _saga(author: Author, depth: int) -> Document:
    steps = author.nodes(depth, 1, 3)
    for step in steps:
        if author.chance():
            step["undo"] = author.nodes(min(depth, 0), most=2)
    return {"saga": steps}


KINDS: dict[str, tuple[bool, Callable[[Author, int], Document]]] = {
    # verb: (has it nodes below?, how one is written)
    "act": (False, _act),
    "wait_for": (False, _wait_for),
    "delay": (False, lambda a, _: {"delay": a.span()}),
    "set": (False, lambda a, _: {"set": {"count": "${{ vars.count + 1 }}"}}),
    "check": (False, lambda a, _: {"check": a.condition()}),
    "log": (False, lambda a, _: {"log": "count is ${{ vars.count }}"}),
    "fail": (False, lambda a, _: {"fail": {"message": "on purpose", "code": "planned"}}),
    "sequence": (True, lambda a, depth: {"sequence": a.nodes(depth)}),
    "fallback": (True, lambda a, depth: {"fallback": a.nodes(depth)}),
    "succeed": (False, lambda a, _: {"succeed": {"count": "${{ vars.count }}"}}),
    "parallel": (True, _parallel),
    "race": (True, lambda a, depth: {"race": a.branches(depth)}),
    "if": (True, _if),
    "switch": (True, _switch),
    "while": (True, _while),
    "repeat": (True, _repeat),
    "for_each": (True, _for_each),
    "try": (True, _try),
    "saga": (True, _saga),
    "invert": (True, lambda a, depth: {"invert": a.node(depth)}),
    "always": (True, lambda a, depth: {"always": a.node(depth)}),
}


_OFTEN = ("act", "act", "wait_for", "wait_for", "delay", "sequence", "fallback")
"""What is written more often than the rest."""


class Act(msgspec.Struct, frozen=True):
    """What `test.act` is told. `seen` is there so that variables reach the arguments."""

    n: int
    mode: str
    seen: Any = None


@dataclass(frozen=True)
class Story:
    """A tree, and when which event comes."""

    document: Document
    script: tuple[tuple[timedelta, str, str], ...]
    """After how long since the start, the event's type and its id."""
    acts: tuple[tuple[int, str], ...]

    @cached_property
    def tree(self) -> Tree:
        return read_tree(self.document)

    def start(self, key: str) -> Delivery:
        return self._delivery("begin", "begin", key)

    def deliveries(self, key: str) -> list[tuple[timedelta, Delivery]]:
        return [(after, self._delivery(kind, name, key)) for after, kind, name in self.script]

    def _delivery(self, kind: str, name: str, key: str) -> Delivery:
        data = {"user_id": key}
        event = Event(id=f"{key}-{name}", source="/story", type=kind, data=data, time=_EARLY)
        return Delivery(event=event, trigger="app")

    @property
    def mocks(self) -> dict[str, list[Mock]]:
        """What `act` does, for the simulation."""
        mocks = []
        for number, mode in self.acts:
            it = f"arguments.n == {number}"
            if mode == "refused":
                failure = MockFailure(code="refused", message="never", retryable=False)
                mocks.append(Mock(when=compile_expression(it), fail=failure))
                continue
            if mode == "flaky":
                mocks.append(
                    Mock(
                        when=compile_expression(f"{it} and attempt <= 2"),
                        fail=MockFailure(code="flaky", message="not yet"),
                        times=1_000_000,
                    )
                )
            mocks.append(Mock(when=compile_expression(it), result={"n": number}))
        return {"test.act": mocks}

    def simulate(self, *keys: str, cuts: Callable[[], bool] | None = None) -> SimulationResult:
        """The story of each key, all in one simulation."""
        with Simulation([self.tree], mocks=self.mocks, actions={}, cuts=cuts) as simulation:
            for key in keys:
                started = self.start(key)
                simulation.send(started.event, started.trigger)
                for after, delivery in self.deliveries(key):
                    simulation.send(delivery.event, delivery.trigger, at=after)
            return simulation.run()


class Acting(Connector):
    """The connector that does `test.act` for real, and remembers in what order."""

    name = "test"

    class Settings(msgspec.Struct, frozen=True):
        """None."""

    settings_type = Settings
    done: list[tuple[str, int, int]]

    @action()
    async def act(self, given: Act, call: Call) -> dict[str, int]:
        """Do what the story says, and note run, number and attempt."""
        type(self).done.append((call.run.id, given.n, call.attempt))
        if given.mode == "refused":
            raise ActionRefused("refused", "never")
        if given.mode == "flaky" and call.attempt <= 2:
            raise ActionFailed("flaky", "not yet")
        return {"n": given.n}


@st.composite
def stories(draw: Any) -> Story:
    """Stories whose moments are far enough apart for their order to be certain."""
    author = Author(draw)
    document = {
        "tree": "story",
        "events": {
            name: {
                "webhook": "app",
                "where": f"event.type == '{name}'",
                "key": "event.data.user_id",
            }
            for name in ("begin", *EVENTS)
        },
        "start": "begin",
        "vars": {"count": 0},
        "do": author.nodes(3, 2, 5),
    }
    script = []
    for number in range(draw(st.integers(0, 4))):
        minutes = int(author.span().removesuffix("m"))
        script.append((timedelta(minutes=minutes), draw(st.sampled_from(EVENTS)), f"e{number}"))
    script.sort()
    story = Story(document, tuple(script), tuple(author.acts))
    result = story.simulate("u")
    assume(_apart(result, [after for after, _, _ in script]))
    return story


def _apart(result: SimulationResult, script: list[timedelta]) -> bool:
    (run,) = result.runs
    began = run.state.started_at
    assert began is not None
    moments = {began + after for after in script}
    for node in run.state.nodes.values():
        times = (node.started_at, node.ended_at, node.expires_at)
        moments |= {time for time in times if time is not None}
    ordered = sorted(moments)
    gaps = [later - earlier for earlier, later in itertools.pairwise(ordered)]
    # Attempts of an action are a second or two apart, and nothing else comes between.
    return all(gap >= GAP or gap <= timedelta(seconds=3) for gap in gaps)


def essence(run: SimulatedRun) -> Any:
    """What must be the same wherever and whenever the run is lived."""
    return essence_of(run.state)


def essence_of(state: Any) -> Any:
    """A state document without its times, ids and secrets."""
    document: Any = msgspec.to_builtins(state)
    nodes = {
        path: {
            name: value
            for name, value in node.items()
            if not name.endswith(("_at", "_until"))
            and name not in ("deadline", "memory", "given_up", "halted")
        }
        for path, node in document["nodes"].items()
    }
    handled = [
        (h["id"], h["outcome"], h["subscription"], h["path"])
        for h in document["mailbox"].get("handled", [])
    ]
    kept = ("status", "waiting_for", "vars", "steps", "result", "error", "calls")
    return {
        **{name: document[name] for name in kept},
        "nodes": nodes,
        "order": list(nodes),
        "handled": handled,
    }


def collect_stories(count: int) -> list[Story]:
    """The same stories each time."""
    found: list[Story] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(stories())
    def collect(story: Story) -> None:
        found.append(story)

    collect()
    return found
