"""Events routed per second, by how many trees there are.

The router alone, by the CPU time of its process: every tree waits for its own type of event, and each event is for one
of them. Then the hard case, in which no type tells the trees apart, so that every tree's `where` has
to be evaluated for every event.
"""

from __future__ import annotations

import sys
import time

from benchmarks.frame import Bench, Plot, main
from hub.event import Event
from hub.routing.router import Router
from hub.tree import Tree, load_tree, tree_from_document

_COUNTS = (1, 100, 1000, 10_000)


def trees_of(count: int, where: str) -> list[Tree]:
    """So many trees. Each begins with the events for which `where` holds, with its own number for 717171."""
    one = load_tree(
        f"tree: tree-717171\nevents:\n  begun: {{webhook: app, where: '{where}', key: event.data.key}}\n"
        "start: begun\ndo:\n  - log: begun\n"
    )
    # From the plain form, which is read much faster than YAML.
    return [tree_from_document(one.document.replace(b"717171", b"%d" % n)) for n in range(count)]


async def measure(bench: Bench) -> None:
    counts = _COUNTS[:3] if bench.quick else _COUNTS
    seconds = 0.2 if bench.quick else 0.5
    trees = trees_of(counts[-1], 'event.type == "kind.717171"')
    by_type = {_name(count): Router(trees[:count]) for count in counts}
    untyped = trees_of(min(1000, counts[-1]), "event.data.n == 717171")
    by_where = {count: Router(untyped[:count]) for count in (1, 10, 100, 1000)}
    sizes = {_name(count): count for count in counts}
    async for side in bench.rounds(*by_type, count=9):
        side.note("events", _events_per_second(by_type[side.name], sizes[side.name], seconds))
    one = _name(counts[0])
    for name in list(by_type)[1:]:
        bench.compare(
            "events",
            of=name,
            to=one,
            unit="1/s",
            title=f"events routed/s with {name}",
            goal=">= 0.5" if name == "1,000 trees" else None,
            name=name.replace(" ", "-"),
        )
    hard = {n: _events_per_second(r, n, seconds) for n, r in by_where.items()}
    bench.table(
        "Where no type tells the trees apart",
        ("trees", "events/s", "microseconds per tree"),
        [(n, f"{rate:,.0f}", f"{1e6 / rate / n:.1f}") for n, rate in hard.items()],
    )
    xs = sorted({*counts, *hard})
    medians = {sizes[name]: sorted(bench.values(name, "events"))[len(bench.values(name, "events")) // 2] for name in by_type}  # fmt: skip
    bench.plot(
        Plot(
            name="events",
            title="Events routed per second",
            x="trees",
            y="events/s",
            xs=[float(x) for x in xs],
            lines={
                "told apart by type": [medians.get(x) for x in xs],
                "every filter evaluated": [hard.get(x) for x in xs],
            },
        )
    )


def _name(count: int) -> str:
    return "1 tree" if count == 1 else f"{count:,} trees"


def _events_per_second(router: Router, trees: int, seconds: float) -> float:
    numbers = [place * trees // 100 for place in range(100)]
    events = [
        Event(id=str(place), source="/b", type=f"kind.{n}", data={"n": n, "key": f"k{place}"})
        for place, n in enumerate(numbers)
    ]
    done = 0
    began = time.process_time()
    while (took := time.process_time() - began) < seconds:
        for event in events:
            router.route("app", event)
        done += len(events)
    return done / took


if __name__ == "__main__":
    sys.exit(main(measure))
