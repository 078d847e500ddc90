"""Flow control of starts: its state machine, what trees may say of it, and both in virtual time."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import Tree as PythonTree
from hub.errors import InvalidDefinition
from hub.event import Event
from hub.nodes import Log
from hub.run import Delivery, Flow, GateState, Held, gate_of, held_because
from hub.run.flow import MAX_HELD
from hub.simulation import Simulation, SimulationResult
from hub.tree import Tree, load_tree

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TREE = """
tree: t
events:
  go: {webhook: app, where: event.type == "go", KEY}
  done: {webhook: app, where: event.type == "done", key: event.data.k}
start: {event: go, START}
do:
"""
KEYED = "key: event.data.k"


def tree_of(start: str, do: str = "  - log: hi\n", key: str = KEYED) -> Tree:
    return load_tree(TREE.replace("START", start).replace("KEY", key) + do)


def event(name: str, key: str = "a", kind: str = "go") -> Event:
    return Event(id=name, source="/t", type=kind, data={"k": key, "n": name})


class Gate:
    """A flow that is driven by hand; it may be cut, as when its gate goes on in a new part."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.flow = Flow(tree, GateState())
        self.now = NOW
        self.begun: list[tuple[datetime, Held]] = []
        self.live: list[str] = []
        """Runs that its home knows to be live, though a part of before has started them."""

    def offer(self, name: str, key: str = "a") -> str:
        delivery = Delivery(event=event(name, key), trigger="app")
        _, offer = gate_of(self.tree, key, delivery)
        return self.flow.offer(offer, self.now)

    def turn(self) -> list[list[str]]:
        """Begin what may begin; the names of the events of each start."""
        begun: list[list[str]] = []
        while taken := self.flow.take(self.now):
            for held in taken:
                if held.run_id in self.live:
                    self.flow.settle(held, "live", self.now)
                    continue
                self.flow.settle(held, "started", self.now)
                self.begun.append((self.now, held))
                begun.append([delivery.event.id for delivery in held.deliveries])
        return begun

    def after(self, seconds: float) -> list[list[str]]:
        self.now += timedelta(seconds=seconds)
        return self.turn()

    def cut(self) -> None:
        state = msgspec.json.encode(self.flow.left_behind())
        self.flow = Flow(self.tree, msgspec.json.decode(state, type=GateState))


# -- the machine -----------------------------------------------------------------------------


def test_debounce_waits_for_quiet_and_no_longer_than_max() -> None:
    gate = Gate(tree_of("debounce: {for: 10s, max: 25s}"))
    for name in "abcd":
        gate.offer(name)
        assert gate.after(8) == ([["a", "b", "c", "d"]] if name == "d" else [])
    # 25 s after the first there was a start, though it was never quiet.
    assert gate.begun[0][0] == NOW + timedelta(seconds=32)
    gate.flow.ended("t/a")
    gate.offer("e")
    assert gate.flow.wake_at(gate.now) == gate.now + timedelta(seconds=10)
    assert gate.after(10) == [["e"]]
    assert gate.flow.is_idle(gate.now)


def test_a_batch_is_full_or_its_time_is_over() -> None:
    gate = Gate(tree_of("batch: {size: 3, within: 1m}"))
    for name in "abcd":
        gate.offer(name)
    assert gate.turn() == [["a", "b", "c"]]
    gate.flow.ended("t/a")
    assert gate.after(59) == []
    assert gate.after(1) == [["d"]]


def test_keys_are_gathered_apart() -> None:
    gate = Gate(tree_of("debounce: {for: 10s}, concurrency: {limit: 5}"))
    gate.offer("a", "x")
    gate.offer("b", "y")
    gate.offer("c", "x")
    assert gate.after(10) == [["a", "c"], ["b"]]


def test_no_more_starts_than_the_rate_allows_in_any_stretch() -> None:
    gate = Gate(tree_of("rate: {limit: 2, per: 1m}"))
    for n in range(5):
        gate.offer(str(n), f"k{n}")
    assert gate.turn() == [["0"], ["1"]]
    assert gate.after(59) == []
    assert gate.flow.wake_at(gate.now) == NOW + timedelta(seconds=60)
    assert gate.after(1) == [["2"], ["3"]]
    assert gate.after(60) == [["4"]]
    assert not gate.flow.is_idle(gate.now)
    assert gate.after(60) == []
    assert gate.flow.is_idle(gate.now)


def test_many_starts_in_one_stretch_take_bounded_memory() -> None:
    gate = Gate(tree_of("rate: {limit: 2000, per: 1h}"))
    for n in range(1500):
        gate.offer(str(n), f"k{n}")
        gate.after(1)
    assert len(gate.flow.state.starts[""]) <= 256
    assert sum(one.count for one in gate.flow.state.starts[""]) == 1500


def test_a_place_is_free_when_a_run_ends() -> None:
    gate = Gate(tree_of("concurrency: {limit: 2}"))
    for n in range(4):
        gate.offer(str(n), f"k{n}")
    assert gate.turn() == [["0"], ["1"]]
    assert gate.flow.watched() == ["t/k0", "t/k1"]
    gate.cut()
    gate.flow.ended("t/k1")
    assert gate.turn() == [["2"]]
    gate.flow.ended("t/k1")
    assert gate.turn() == []


def test_values_are_counted_apart() -> None:
    tree = tree_of("rate: {limit: 9, per: 1m}, concurrency: {limit: 1, key: event.data.k}")
    gate = Gate(tree)
    for n, key in enumerate("xxy"):
        gate.offer(str(n), key)
    assert gate.turn() == [["0"], ["2"]]


def test_starts_of_one_run_keep_their_order() -> None:
    gate = Gate(tree_of("concurrency: {limit: 5}"))
    gate.offer("a", "x")
    (first,) = gate.flow.take(NOW)
    gate.offer("b", "x")
    gate.offer("c", "x")
    assert gate.flow.take(NOW) == []
    # A run of the key lives that the gate did not start: all wait for its end, in order.
    gate.flow.settle(first, "live", NOW)
    assert gate.turn() == []
    gate.flow.ended("t/x")
    assert gate.turn() == [["a"]]
    gate.flow.ended("t/x")
    assert gate.turn() == [["b"]]


def test_a_live_run_that_waits_for_it_gets_the_start_at_once() -> None:
    gate = Gate(tree_of("concurrency: {limit: 1}", "  - wait_for: go\n"))
    gate.offer("a", "x")
    gate.turn()
    gate.offer("b", "y")
    gate.offer("c", "x")
    (met,) = gate.flow.take(NOW)
    assert (met.run_id, met.met) == ("t/x", True)
    # It ended in that moment: then it waits for its turn like any other.
    gate.flow.settle(met, "gone", NOW)
    assert gate.turn() == [["b"]]


def test_an_event_told_twice_is_held_once_also_in_a_later_part() -> None:
    gate = Gate(tree_of("debounce: {for: 10s}"))
    assert gate.offer("a") == "buffered"
    gate.cut()
    assert gate.offer("a") == "duplicate"
    assert gate.after(10) == [["a"]]
    gate.cut()
    assert gate.offer("a") == "duplicate"
    fate = gate.flow.fate(event("a"), gate.now)
    assert fate is not None
    assert (fate.outcome, fate.run_id) == ("started", "t/a")


def test_a_full_gate_rejects_and_can_tell() -> None:
    gate = Gate(tree_of("concurrency: {limit: 1}"))
    for n in range(MAX_HELD + 1):
        assert gate.offer(str(n), f"k{n}") == "buffered"
        if n == 0:
            gate.turn()
    assert gate.offer("more", "more") == "rejected"
    fate = gate.flow.fate(event("more", "more"), gate.now)
    assert fate is not None
    assert fate.outcome == "rejected"
    assert "no room" in str(fate.reason)
    gate.flow.ended("t/k0")
    gate.turn()
    assert gate.offer("later", "later") == "buffered"


def test_what_is_gathered_is_bounded() -> None:
    gate = Gate(tree_of("debounce: {for: 1h}"))
    for n in range(1500):
        gate.offer(str(n))
    (first,) = gate.turn()
    assert len(first) == 1000


def test_a_gate_tells_why_a_start_waits() -> None:
    gate = Gate(tree_of("debounce: {for: 10s}, concurrency: {limit: 1}"))

    def why(name: str, key: str) -> str:
        fate = gate.flow.fate(event(name, key), gate.now)
        assert fate is not None
        assert fate.outcome == "buffered"
        return str(fate.reason)

    gate.offer("a", "x")
    gate.offer("b", "x")
    assert why("a", "x") == "it is gathered until 2030-01-01T00:00:10.000+00:00, with 1 other"
    gate.after(10)
    gate.offer("c", "x")
    gate.offer("d", "y")
    gate.after(10)
    assert why("c", "x") == "it waits for the run t/x to end"
    assert why("d", "y").startswith(
        "it waits for its turn, 1 before it; the next start is when one"
    )


@pytest.mark.parametrize(
    ("start", "key", "gate"),
    [
        ("debounce: {for: 1s}", KEYED, "~gate/t/a"),
        ("debounce: {for: 1s}", "", "~gate/t"),
        ("rate: {limit: 1, per: 1m}", KEYED, "~gate/t"),
        ("rate: {limit: 1, per: 1m, key: event.data.n}", KEYED, "~gate/t/e"),
        ("debounce: {for: 1s}, concurrency: {limit: 1, key: event.data.n}", KEYED, "~gate/t/e"),
        ("rate: {limit: 1, per: 1m, key: event.id}, concurrency: {limit: 1}", KEYED, "~gate/t"),
        (
            "rate: {limit: 1, per: 1m, key: event.id}, concurrency: {limit: 1, key: event.id}",
            KEYED,
            "~gate/t/e",
        ),
    ],
)
def test_a_gate_is_of_what_its_tree_counts_by(start: str, key: str, gate: str) -> None:
    tree = tree_of(start, key=key)
    found, _ = gate_of(tree, "a" if key else None, Delivery(event=event("e"), trigger="app"))
    assert found == gate


STARTS = (
    "debounce: {for: 10s, max: 30s}",
    "batch: {size: 3, within: 20s}",
    "rate: {limit: 2, per: 15s}",
    "concurrency: {limit: 2}",
    "debounce: {for: 5s}, rate: {limit: 1, per: 10s}, concurrency: {limit: 2, key: event.data.k}",
    "batch: {size: 2, within: 9s}, concurrency: {limit: 1}",
    "when_running: parallel, rate: {limit: 3, per: 7s}, concurrency: {limit: 3}",
)


@settings(deadline=None)
@given(
    st.sampled_from(STARTS),
    st.lists(
        st.one_of(
            st.tuples(st.just("offer"), st.sampled_from("xyz")),
            st.tuples(st.just("pass"), st.integers(0, 12)),
            st.tuples(st.just("end"), st.integers(0, 5)),
            st.tuples(st.just("cut"), st.just(0)),
        ),
        max_size=60,
    ),
)
def test_every_start_event_is_in_one_start_whatever_happens(
    start: str, steps: list[tuple[str, Any]]
) -> None:
    tree = tree_of(start)
    gate = Gate(tree)
    live = gate.live
    offered: list[tuple[str, str]] = []
    limit = None if tree.start.concurrency is None else tree.start.concurrency.limit

    def turn() -> None:
        before = len(gate.begun)
        gate.turn()
        live.extend(held.run_id for _, held in gate.begun[before:])
        assert len(live) == len(set(live))
        by_place = Counter(gate.flow.state.live.values())
        assert limit is None or all(count <= limit for count in by_place.values())

    def end(which: int) -> None:
        if live:
            gate.flow.ended(live.pop(which % len(live)))

    for kind, value in steps:
        if kind == "offer":
            offered.append((f"e{len(offered)}", value))
            assert gate.offer(*offered[-1]) == "buffered"
        elif kind == "pass":
            gate.now += timedelta(seconds=value)
        elif kind == "end":
            end(value)
        else:
            gate.cut()
        turn()
    while gate.flow.is_holding:
        at = gate.flow.wake_at(gate.now)
        if at is not None:
            gate.now = max(at, gate.now)
        end(0)
        turn()
    while live:
        end(0)
    gate.now += timedelta(minutes=1)
    assert gate.flow.is_idle(gate.now)
    started = [d.event.id for _, held in gate.begun for d in held.deliveries]
    assert sorted(started) == sorted(name for name, _ in offered)
    for key in "xyz":
        mine = [d.event.id for _, h in gate.begun if h.key == key for d in h.deliveries]
        assert mine == [name for name, of in offered if of == key]
    if tree.start.rate is not None:
        per, moments = tree.start.rate.per, [at for at, _ in gate.begun]
        for at in moments:
            assert sum(at <= other < at + per for other in moments) <= tree.start.rate.limit


# -- what trees may say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("debounce: {for: 1m}, batch: {size: 2, within: 1m}", "both say when"),
        ("debounce: {for: 1m, max: 30s}", "before it could have been quiet"),
        ("debounce: {max: 30s}", "`for` is missing"),
        ("debounce: {for: 0s}", "no time to wait"),
        ("batch: {size: 0, within: 1m}", "between 1 and 1,000"),
        ("batch: {size: 5000, within: 1m}", "between 1 and 1,000"),
        ("batch: {size: 5}", "`within` is missing"),
        ("rate: {limit: 0, per: 1m}", "between 1 and 100,000"),
        ("rate: {limit: 5, per: 1m, key: vars.x}", "only `event` is known"),
        ("concurrency: {limit: 2000}", "between 1 and 1,000"),
        ("concurrency: {limit: 2, keys: event.data.k}", "keys"),
    ],
)
def test_what_cannot_be_is_said(start: str, said: str) -> None:
    with pytest.raises(InvalidDefinition) as found:
        tree_of(start)
    assert said in str(found.value)


@pytest.mark.parametrize(
    ("start", "do", "code"),
    [
        ("batch: {size: 1, within: 1m}", "  - log: hi\n", "pointless_flow"),
        ("when_running: ignore, debounce: {for: 1m}", "  - log: hi\n", "gathered_ignored"),
        (
            "when_running: restart, concurrency: {limit: 1, key: event.data.k}",
            "  - log: hi\n",
            "pointless_flow",
        ),
        ("rate: {limit: 1, per: 1m}", "  - wait_for: done\n", "held_start"),
    ],
)
def test_what_is_hardly_meant_is_said(start: str, do: str, code: str) -> None:
    assert code in [one.code for one in tree_of(start, do).warnings]


def test_a_schedule_is_not_held_back() -> None:
    with pytest.raises(InvalidDefinition) as found:
        load_tree(
            "tree: t\nevents:\n  due: {schedule: nightly}\n"
            "start: {event: due, rate: {limit: 1, per: 1h}}\ndo: [{log: hi}]\n"
        )
    assert "nothing holds them back" in str(found.value)


def test_events_are_known_where_they_are_gathered() -> None:
    do = '  - set: {n: "${{ events | length }}"}\n'
    assert tree_of("debounce: {for: 1s}", do).start.gathers
    with pytest.raises(InvalidDefinition) as found:
        tree_of("rate: {limit: 1, per: 1s}", do)
    assert "by `debounce` or `batch`" in str(found.value)


def test_why_it_is_held_back_is_said_in_words() -> None:
    tree = tree_of(
        "batch: {size: 3, within: 1m}, rate: {limit: 1, per: 2s}, concurrency: {limit: 4}"
    )
    assert held_because(tree) == (
        "gathered until 3 have come, at the latest 1m after the first; "
        "it waits for its turn: at most 1 run in 2s, and at most 4 runs at once"
    )


# -- in virtual time -------------------------------------------------------------------------


def lived(tree: Tree, *sent: tuple[float, str], cuts: bool = False) -> SimulationResult:
    """What comes of start events with these keys, at these seconds."""
    asked = itertools.count()
    often = (lambda: next(asked) % 3 == 0) if cuts else None
    with Simulation([tree], cuts=often) as simulation:
        for n, (at, key) in enumerate(sent):
            simulation.send(event(f"e{n}", key), "app", at=timedelta(seconds=at))
        return simulation.run()


def spans(result: SimulationResult) -> list[tuple[str, float, float]]:
    """Each run, and the seconds at which it began and ended."""
    begin = result.events[0].at
    return [
        (
            run.state.key or "",
            ((run.state.started_at or begin) - begin).total_seconds(),
            ((run.state.ended_at or begin) - begin).total_seconds(),
        )
        for run in result.runs
    ]


@pytest.mark.parametrize("cuts", [False, True])
def test_a_debounced_run_has_all_events(cuts: bool) -> None:
    do = '  - set: {came: "${{ events | map(attribute=\'data.n\') | list }}", last: "${{ event.data.n }}"}\n'
    tree = tree_of("debounce: {for: 10s}", do)
    result = lived(tree, (0, "a"), (9, "a"), (18, "a"), (40, "a"), cuts=cuts)
    assert [run.state.vars for run in result.runs] == [
        {"came": ["e0", "e1", "e2"], "last": "e2"},
        {"came": ["e3"], "last": "e3"},
    ]
    assert [d.outcome for e in result.events for d in e.deliveries] == ["buffered"] * 4
    assert [begin for _, begin, _ in spans(result)] == [28, 50]


def test_runs_begin_one_after_the_other() -> None:
    tree = tree_of("concurrency: {limit: 1}", "  - delay: 30s\n")
    result = lived(tree, (0, "a"), (1, "b"), (2, "a"))
    assert spans(result) == [("a", 0, 30), ("b", 30, 60), ("a", 60, 90)]


def test_a_restart_gets_all_that_was_gathered_for_it() -> None:
    tree = tree_of("when_running: restart, debounce: {for: 1s}", "  - delay: 30s\n")
    result = lived(tree, (0, "a"), (10, "a"), (10.5, "a"))
    assert [run.status for run in result.runs] == ["cancelled", "succeeded"]
    assert [event.id for event in result.runs[1].state.events] == ["e1", "e2"]


def test_a_live_run_takes_what_was_gathered_one_by_one() -> None:
    tree = tree_of("debounce: {for: 1s}", "  - wait_for: go\n  - wait_for: go\n")
    result = lived(tree, (0, "a"), (5, "a"), (5.5, "a"))
    (run,) = result.runs
    assert [handled.outcome for handled in run.state.mailbox.handled] == [
        "started",
        "resumed",
        "buffered",
        "resumed",
    ]


def test_a_key_that_cannot_be_counted_by_is_an_outcome() -> None:
    tree = tree_of("rate: {limit: 1, per: 1m, key: event.data.none}")
    result = lived(tree, (0, "a"))
    assert [(d.outcome, d.run_id) for d in result.events[0].deliveries] == [("failed", None)]
    assert "`rate.key`" in str(result.events[0].deliveries[0].reason)


# -- in Python -------------------------------------------------------------------------------


def test_it_is_said_in_python_too() -> None:
    tree = PythonTree.define(
        "hurried",
        events={"go": {"webhook": "app", "key": "event.data.k"}},
        start={"event": "go", "debounce": {"for": timedelta(seconds=30), "max": "5m"}},
        do=Log("${{ events | length }} came"),
    )
    assert tree.start.debounce is not None
    assert (tree.start.debounce.for_, tree.start.debounce.max) == (
        timedelta(seconds=30),
        timedelta(minutes=5),
    )


def test_a_run_that_another_starts_has_its_one_event_as_events() -> None:
    inner = tree_of("debounce: {for: 1h}", '  - set: {n: "${{ events | length }}"}\n')
    outer = load_tree(
        "tree: outer\nevents:\n  begin: {webhook: other}\nstart: begin\n"
        "do: [{run: t, key: a, with: {k: a}}]\n"
    )
    with Simulation([inner, outer]) as simulation:
        simulation.send(event("e"), "other")
        result = simulation.run()
    assert result.run("t/a").state.vars == {"n": 1}
    assert result.run("t/a").lasts == timedelta(0)
