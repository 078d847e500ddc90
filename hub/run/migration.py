"""Moving a run to another definition of its tree: whether its state maps onto it, and how.

Pure: an old tree, a new one and a state give a new state, or reasons against it. What a run has done
and is doing is kept; what it has yet to do is as the new definition says. docs/upgrades.md has the
rules in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from hub.run.correlation import address_of
from hub.run.matching import Matching, below
from hub.run.state import MailboxState, NodeState, RunState, Stored, Ticket, Tickets
from hub.tree import Node, Tree

__all__ = ["Definition", "Migration", "Outcome", "Plan", "RunMigrations", "plan_migration"]

_DONE = ("succeeded", "failed", "skipped", "cancelled")
_IN_ORDER = ("sequence", "fallback", "saga")
_AT_ONCE = ("parallel", "race")
_LOOPS = ("while", "repeat", "for_each")
_NUMBER = re.compile(r"#(\d+)")

Outcome = Literal["migrated", "would_migrate", "refused", "already"]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that a run is to be moved to, with those of the trees that it may run."""

    hash: str
    document: bytes
    trees: Mapping[str, bytes] = {}
    groups: Mapping[str, Sequence[str]] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration comes to. `reasons` speak against it; without any, `state` is the new one.

    `skipped` are nodes of the new definition that stand before where the run is, and are passed
    over; `repeated` are yet to come, and say the same as one that was done and is not known again;
    `kept` were done, and are not done again though they stand later now; `gone` were done, and are
    not in the new definition. `notes` say what else is different.
    """

    from_hash: str | None = None
    reasons: Sequence[str] = ()
    skipped: Sequence[str] = ()
    repeated: Sequence[str] = ()
    kept: Sequence[str] = ()
    gone: Sequence[str] = ()
    notes: Sequence[str] = ()
    state: RunState | None = None


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the migration of one run, or would."""

    id: str
    outcome: Outcome
    from_hash: str | None
    to_hash: str
    reasons: Sequence[str] = ()
    skipped: Sequence[str] = ()
    repeated: Sequence[str] = ()
    kept: Sequence[str] = ()
    gone: Sequence[str] = ()
    notes: Sequence[str] = ()


class RunMigrations(Protocol):
    """Migrations in the place where runs live. Raises `NotFound` and `Unreachable`."""

    async def migrate(self, run_id: str, to: Definition, *, dry_run: bool) -> Migration:
        """Have the live run go on with that definition, if it can; it decides so itself."""


def plan_migration(old: Tree, new: Tree, state: RunState, in_flight: Sequence[str] = ()) -> Plan:
    """How the state of a run of the old tree is taken up by the new one.

    `in_flight` are the paths of nodes that are doing something outside of the run just now.
    """
    return _Mapper(old, new, state).plan(in_flight)


class _Mapper:
    def __init__(self, old: Tree, new: Tree, state: RunState) -> None:
        self.old, self.new, self.state = old, new, state
        self.matching = Matching(old, new)
        self.olds = {node.path: node for node in old.nodes()}
        self.news = {node.path: node for node in new.nodes()}
        self.loops = [node for node in old.nodes() if node.type in _LOOPS]
        self.new_loops = [node for node in new.nodes() if node.type in _LOOPS]
        self.parents = _parents(old)
        self.new_parents = _parents(new)
        self.reasons: list[str] = []
        self.skipped: list[str] = []
        self.kept: list[str] = []
        self.gone: list[str] = []
        self.notes: list[str] = []

    # -- as a whole -----------------------------------------------------------------------

    def plan(self, in_flight: Sequence[str]) -> Plan:
        self._check_run(in_flight)
        nodes = self._nodes()
        if not self.reasons:
            for path in [p for p, s in self.state.nodes.items() if _is_live(s)]:
                self._check_live(path, nodes)
        if not self.reasons:
            self._skip(nodes)
        if self.reasons:
            return Plan(from_hash=self.state.hash, reasons=self.reasons)
        tickets = self._tickets()
        if self.reasons:
            return Plan(from_hash=self.state.hash, reasons=self.reasons)
        state = msgspec.structs.replace(
            self.state,
            hash=self.new.hash,
            nodes=nodes,
            mailbox=self._mailbox(),
            tickets=tickets,
            steps=self._steps(nodes),
        )
        return Plan(
            from_hash=self.state.hash,
            skipped=self.skipped,
            repeated=self._repeated(nodes),
            kept=self.kept,
            gone=self.gone,
            notes=self.notes,
            state=state,
        )

    def _check_run(self, in_flight: Sequence[str]) -> None:
        state, old, new = self.state, self.old, self.new
        if old.name != new.name:
            self._refuse(f"it is a run of {old.name!r}, and the definition is of {new.name!r}")
        if state.status not in ("running", "dormant"):
            self._refuse("it has ended")
        if state.cancelling:
            self._refuse("it has been cancelled, and cleans up")
        for path in in_flight:
            self._refuse(f"{path} is in flight: what it does outside of the run is not over yet")
        for name in sorted({*old.subscriptions} & {*new.subscriptions}):
            before, after = old.subscriptions[name], new.subscriptions[name]
            if _terms(before) != _terms(after):
                self.notes.append(f"the event {name} is defined otherwise")

    def _refuse(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    # -- the nodes ------------------------------------------------------------------------

    def _nodes(self) -> dict[str, NodeState]:
        """The states of all nodes that have a counterpart, by their new paths."""
        nodes: dict[str, NodeState] = {}
        for path, state in self.state.nodes.items():
            node, rounds = self._old_node(path)
            if node is None:
                self._refuse(f"{path} is no node of the definition that the run is pinned to")
                continue
            if state.status not in _DONE and (state.halted or state.given_up is not None):
                self._refuse(f"{path} was given up, and cleans up")
            other = self.matching.new_of(node)
            place = None if other is None else self._new_path(node, other, rounds)
            if other is None or place is None:
                self._lose(path, node, state, moved=other)
                continue
            nodes[place] = self._as_new(node, other, state)
        return nodes

    def _old_node(self, path: str) -> tuple[Node | None, list[int]]:
        static, rounds = _without_rounds(path, self.loops)
        return self.olds.get(static), rounds

    def _new_path(self, old: Node, new: Node, rounds: Sequence[int]) -> str | None:
        """The new path with the rounds of the loops in it; None where it is in other loops now."""
        loops = _loops_above(old, self.parents)
        others = _loops_above(new, self.new_parents)
        if [self.matching.new_of(loop) for loop in loops] != others or len(loops) != len(rounds):
            return None
        path = new.path
        for loop, number in zip(reversed(others), reversed(rounds), strict=True):
            path = f"{loop.path}#{number}{path[len(loop.path) :]}"
        return path

    def _lose(self, path: str, node: Node, state: NodeState, *, moved: Node | None) -> None:
        if state.status in _DONE:
            if state.status not in ("skipped", "cancelled"):
                self.gone.append(path)
            return
        verb = "waits" if state.status == "waiting" else "is under way"
        if moved is not None:
            self._refuse(f"{path} {verb}, and stands in other loops in the new definition")
            return
        retyped = self.matching.retyped.get(node.path)
        if retyped is not None:
            self._refuse(
                f"{path} {verb} and is a {node.type}; {node.id!r} is a {retyped.type} in the new "
                "definition"
            )
            return
        named = f" has no node {node.id!r}" if node.id else " has no counterpart of it"
        self._refuse(f"{path} ({node.label}) {verb}, and the new definition{named}")

    def _as_new(self, old: Node, new: Node, state: NodeState) -> NodeState:
        memory = state.memory
        if state.status not in _DONE and old.type in _AT_ONCE and memory:
            memory = self._ended(old, new, memory)
        return msgspec.structs.replace(state, id=new.id, memory=memory)

    def _ended(self, old: Node, new: Node, ended: Sequence[int]) -> list[int]:
        """Which branches have ended, in their order, by their new numbers."""
        branches, others = _listed(old), _listed(new)
        numbers = []
        for index in ended:
            other = self.matching.new_of(branches[index])
            if other is None or other not in others:
                self._refuse(f"the branch {branches[index].path} has ended, and is gone")
            else:
                numbers.append(others.index(other))
        return numbers

    # -- what is under way ----------------------------------------------------------------

    def _check_live(self, path: str, nodes: Mapping[str, NodeState]) -> None:
        node, _ = self._old_node(path)
        assert node is not None
        other = self.matching.new_of(node)
        assert other is not None
        above, above_new = self.parents.get(node.path), self.new_parents.get(other.path)
        if (above is None) != (above_new is None) or (
            above is not None and self.matching.new_of(above) is not above_new
        ):
            self._refuse(f"{path} is under way, and stands elsewhere in the new definition")
            return
        if above and above_new and _field_of(above, node) != _field_of(above_new, other):
            self._refuse(f"{path} is under way, and has another part in the new definition")
        self._check_waits(path, node, other)
        if node.type in _LOOPS and not self._same_body(node, other):
            self._refuse(f"{path} is in a round, and what a round does has changed")
        if node.type in ("if", "switch"):
            self._check_choice(path, node, other)
        if node.type not in _IN_ORDER:
            self._check_needed(path, node, other, nodes)
        if node.type == "saga":
            self._check_undos(path, node, other)

    def _check_waits(self, path: str, old: Node, new: Node) -> None:
        for name in _waited(old):
            if name not in self.new.subscriptions:
                self._refuse(f"{path} waits for {name}, an event that is gone")
        if _waits(old) != _waits(new):
            before, after = ", ".join(_waited(old)), ", ".join(_waited(new))
            self._refuse(f"{path} waits for {before}, and in the new definition for {after}")
        elif bool(old.matched()) != bool(new.matched()):
            now = "with" if new.matched() else "without"
            self._refuse(f"{path} is open, and waits {now} `match` in the new definition")
        if old.abort_on != new.abort_on:
            self.notes.append(f"{new.path} is aborted by {new.abort_on or 'no event'} from now on")
        if old.timeout is None and new.timeout is not None:
            self.notes.append(f"the timeout of {new.path} is counted from the migration")
        elif old.timeout is not None and new.timeout is None:
            self.notes.append(f"{new.path} has no timeout any more")
        elif next(old.children(), None) is None and not self.matching.same_text(old, new):
            self.notes.append(f"{new.path} goes on as it began, though it is written otherwise")

    def _same_body(self, old: Node, new: Node) -> bool:
        bodies = [(o, n) for o, n in zip(below(old), below(new), strict=False)]
        return getattr(old, "as_", None) == getattr(new, "as_", None) and all(
            o.name == n.name and self.matching.same_text(o.nodes[0], n.nodes[0]) for o, n in bodies
        )

    def _check_choice(self, path: str, old: Node, new: Node) -> None:
        """The part that was chosen must be the one that the choice still means."""
        memory = self.state.nodes[path].memory
        if memory is None:
            return
        before, after = _chosen(old, memory), _chosen(new, memory)
        if (before is None) != (after is None) or (
            before is not None and self.matching.new_of(before) is not after
        ):
            self._refuse(f"{path} has chosen a part that the new definition would not choose")

    def _check_needed(
        self, path: str, old: Node, new: Node, nodes: Mapping[str, NodeState]
    ) -> None:
        """What is done and decides how the node goes on must still be there, in its place."""
        for field in below(old):
            for child in field.nodes:
                if old.type in _LOOPS:
                    continue
                there = _beside(child, old, path)
                state = self.state.nodes.get(there)
                if state is None or state.status not in _DONE:
                    continue
                other = self.matching.new_of(child)
                if other is None or self.new_parents.get(other.path) is not new:
                    self._refuse(
                        f"{there} is done, {path} goes on by its outcome, and it is gone in the new "
                        "definition"
                    )

    def _check_undos(self, path: str, old: Node, new: Node) -> None:
        for step in _listed(old):
            there = _beside(step, old, path)
            state = self.state.nodes.get(there)
            if step.undo is None or state is None or state.status == "skipped":
                continue
            other = self.matching.new_of(step)
            if other is None or self.new_parents.get(other.path) is not new:
                self._refuse(f"{there} is done, and its undo is gone in the new definition")
            elif other.undo is None:
                self._refuse(f"{there} is done, and has no undo in the new definition")

    # -- what stands before where the run is ----------------------------------------------

    def _skip(self, nodes: dict[str, NodeState]) -> None:
        """Pass over the nodes of the new definition that stand before the one under way."""
        for path, state in list(nodes.items()):
            node = self.news[_without_rounds(path, self.new_loops)[0]]
            if not _is_live(state) or node.type not in _IN_ORDER:
                continue
            steps = _listed(node)
            places = [_beside(step, node, path) for step in steps]
            begun = [i for i, place in enumerate(places) if place in nodes]
            live = [i for i in begun if _is_live(nodes[places[i]])]
            now = live[-1] if live else (begun[-1] if begun else -1)
            for index, (step, place) in enumerate(zip(steps, places, strict=True)):
                if index < now and place not in nodes:
                    nodes[place] = NodeState(type=step.type, id=step.id, status="skipped")
                    self.skipped.append(place)
                elif index > now and place in nodes and nodes[place].status != "skipped":
                    self.kept.append(place)

    def _repeated(self, nodes: Mapping[str, NodeState]) -> list[str]:
        lost = []
        for path in self.gone:
            node, _ = self._old_node(path)
            if node is not None and next(node.children(), None) is None:
                lost.append(node)
        return [
            other.path
            for other in self.news.values()
            if other.path not in nodes
            and self.matching.is_new(other)
            and any(self.matching.same_text(node, other) for node in lost)
        ]

    # -- the rest of the document ---------------------------------------------------------

    def _mailbox(self) -> MailboxState:
        mailbox = self.state.mailbox
        stored: list[Stored] = []
        for one in mailbox.stored:
            names = tuple(
                name for name in one.subscriptions if name.partition("[")[0] in self.new.waits
            )
            if not names:
                self.notes.append(
                    f"the event {one.event.id} ({', '.join(one.subscriptions)}) was kept, and nothing "
                    "waits for it any more"
                )
                continue
            stored.append(msgspec.structs.replace(one, subscriptions=names))
        lapsed = [name for name in mailbox.lapsed if name in self.new.waits]
        return msgspec.structs.replace(mailbox, stored=stored, lapsed=lapsed)

    def _tickets(self) -> Tickets:
        """The waits at correlators, by their new paths. They stay where they wait."""
        tickets: dict[str, Ticket] = {}
        for number, ticket in self.state.tickets.open.items():
            node, rounds = self._old_node(ticket.path)
            new = None if node is None else self.matching.new_of(node)
            path = None if node is None or new is None else self._new_path(node, new, rounds)
            name = ticket.subscription
            if new is None or path is None or name not in new.matched():
                self._refuse(f"{ticket.path} waits for {name} by `match`, and would not any more")
                continue
            before, after = self.old.subscriptions[name], self.new.subscriptions[name]
            if address_of(self.old.name, before, "") != address_of(self.new.name, after, ""):
                self._refuse(
                    f"{ticket.path} waits for {name} by `match`, which is defined otherwise"
                )
            tickets[number] = msgspec.structs.replace(ticket, path=path)
        return msgspec.structs.replace(self.state.tickets, open=tickets)

    def _steps(self, nodes: Mapping[str, NodeState]) -> dict[str, Any]:
        """The results by id: those of before, and of nodes that have got their id only now."""
        steps = dict(self.state.steps)
        for path, state in nodes.items():
            if state.id is not None and state.status == "succeeded" and "#" not in path:
                steps.setdefault(state.id, state.result)
        return steps


def _is_live(state: NodeState) -> bool:
    return state.status not in _DONE


def _terms(subscription: Any) -> tuple[Any, ...]:
    where, key = subscription.where, subscription.key
    return (
        subscription.kind,
        subscription.trigger,
        None if where is None else where.text,
        None if key is None else key.text,
    )


def _parents(tree: Tree) -> dict[str, Node]:
    return {child.path: node for node in tree.nodes() for child in node.children()}


def _loops_above(node: Node, parents: Mapping[str, Node]) -> list[Node]:
    """The loops that a node stands in, the outermost first."""
    found = []
    above = parents.get(node.path)
    while above is not None:
        if above.type in _LOOPS:
            found.append(above)
        above = parents.get(above.path)
    return found[::-1]


def _field_of(above: Node, child: Node) -> str:
    return next(field.name for field in below(above) if any(n is child for n in field.nodes))


def _listed(node: Node) -> list[Node]:
    """The steps, options or branches of a node."""
    return [child for field in below(node) if field.is_list for child in field.nodes]


def _beside(child: Node, node: Node, path: str) -> str:
    """The path of a child in the very round in which its parent's path is."""
    return path + child.path[len(node.path) :]


def _without_rounds(path: str, loops: Sequence[Node]) -> tuple[str, list[int]]:
    """A path as it stands in the definition, and the rounds that were in it."""
    rounds = []
    # A loop stands before those within it.
    for loop in loops:
        found = _NUMBER.match(path, len(loop.path)) if path.startswith(loop.path) else None
        if found is not None:
            rounds.append(int(found[1]))
            path = loop.path + path[found.end() :]
    return path, rounds


def _waited(node: Node) -> list[str]:
    """The events that the node itself waits for."""
    names = list(node.awaits())
    return names if node.abort_on is None else names[:-1]


def _waits(node: Node) -> list[Any]:
    return [getattr(node, name, None) for name in ("event", "all", "any")]


def _chosen(node: Node, memory: Any) -> Node | None:
    """Which part an `if` or a `switch` runs, by what it remembers."""
    parts = {field.name: field.nodes[0] for field in below(node)}
    if node.type == "if":
        return parts.get("then" if memory else "else_")
    return parts.get(f"cases.{memory}", parts.get("default"))
