"""The decisions of a scenario: who approves, rejects or passes it on, and when."""

from __future__ import annotations

from typing import Any

from hub.simulation.reading import Reading
from hub.simulation.scenario import ScriptedDecision
from hub.tree.nodes.approval import Approval
from hub.tree.words import Place, did_you_mean, kind_of

__all__ = ["OUTCOMES", "read_decisions"]

OUTCOMES = (
    "recorded",
    "already_decided",
    "decided_before",
    "not_yours",
    "approval_over",
    "invalid_form",
    "invalid_delegate",
    "not_found",
)
"""What may become of a decision: it is recorded, or the code of why it is not."""

_FIELDS = ("after", "who", "decision", "to", "node", "comment", "form", "outcome")


def read_decisions(reading: Reading, place: Place, value: Any) -> list[ScriptedDecision]:
    """Read the list; what is wrong with it goes to the report."""
    if value is None:
        return []
    if not isinstance(value, list):
        reading.problem(place, f"`decisions` is a list, not {kind_of(value)}")
        return []
    found = (_decision(reading, (*place, index), item) for index, item in enumerate(value))
    return [decision for decision in found if decision is not None]


def _decision(reading: Reading, place: Place, value: Any) -> ScriptedDecision | None:
    if not reading.mapping(place, value, _FIELDS, "a decision"):
        return None
    who, said = value.get("who"), value.get("decision")
    if not isinstance(who, str) or not who:
        reading.problem(place, "a decision says who decides", "write `who: ada@example.com`")
        return None
    if said not in ("approve", "reject", "delegate"):
        reading.problem(place, "a decision is `decision: approve`, `reject` or `delegate`")
        return None
    to = value.get("to")
    if (said == "delegate") != (isinstance(to, str) and bool(to)):
        reading.problem(
            place, "`to: bob@example.com` stands with `decision: delegate`, and only there"
        )
        return None
    if "after" not in value:
        reading.problem(place, "a decision says when it comes", "write `after: 2h`")
        return None
    form = value.get("form") or {}
    if not isinstance(form, dict):
        reading.problem((*place, "form"), f"`form` is a mapping, not {kind_of(form)}")
        form = {}
    comment = value.get("comment")
    return ScriptedDecision(
        after=reading.span((*place, "after"), value["after"]),
        who=who,
        decision=said,
        to=to,
        node=_node(reading, (*place, "node"), value.get("node")),
        comment=None if comment is None else str(comment),
        form=form,
        outcome=reading.choice((*place, "outcome"), value.get("outcome"), OUTCOMES) or OUTCOMES[0],
    )


def _node(reading: Reading, place: Place, name: Any) -> str | None:
    ids = [n.id for n in reading.tree.nodes() if isinstance(n, Approval) and n.id is not None]
    if name is None or name in ids:
        return None if name is None else str(name)
    reading.problem(
        place,
        f"the tree has no approval with the id {name!r}",
        did_you_mean(str(name), ids) or f"its approvals: {', '.join(ids) or 'none has an id'}",
    )
    return None
