"""What people say to an approval, by whichever way it comes, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from hub.errors import AlreadyDecided, ApprovalOver, BadRequest, InvalidForm
from hub.run.decided import ApprovalOutcome, Decided, Said
from hub.tree.nodes.approval import FormField

__all__ = [
    "MAX_COMMENT",
    "PAST",
    "Answer",
    "Decision",
    "Delegation",
    "HandedOver",
    "answer_to",
    "check_form",
    "check_texts",
    "person",
    "too_late",
    "when",
]

MAX_COMMENT = 4000
PAST: Mapping[Said, str] = {"approve": "approved", "reject": "rejected"}

_MAX_ID = 100
_MAX_TEXT = 4000


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one person decides: the payload of the update `decide`.

    `approval` is the id of the very approval at `path`, since a later one may stand there. `id`
    makes it one decision however often it comes. `how` is the way it came: `link`, `api`, `cli`, ...
    """

    id: str
    path: str
    approval: str
    decision: Said
    who: str
    how: str
    comment: str | None = None
    form: dict[str, Any] = {}


class Delegation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To whom one person passes their decision on: the payload of the update `delegate`."""

    id: str
    path: str
    approval: str
    who: str
    to: str
    how: str
    comment: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told whose decision is recorded, and how the approval stands with it."""

    status: Literal["recorded"] = "recorded"
    decision: Said
    who: str
    at: datetime
    outcome: ApprovalOutcome
    approvals: int
    quorum: int


class HandedOver(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told who has passed their decision on."""

    status: Literal["recorded"] = "recorded"
    who: str
    to: str
    at: datetime


def person(name: str) -> str:
    """A person's address as approvals compare it."""
    return name.strip().casefold()


def answer_to(one: Decided, outcome: ApprovalOutcome, approvals: int, quorum: int) -> Answer:
    """The answer to a decision that is recorded, whenever it is asked for."""
    return Answer(
        decision=one.decision,
        who=one.who,
        at=one.at,
        outcome=outcome,
        approvals=approvals,
        quorum=quorum,
    )


def too_late(result: Mapping[str, Any]) -> AlreadyDecided | ApprovalOver:
    """What somebody is told who decides after the end."""
    outcome = result["decision"]
    if outcome == "pending":
        return ApprovalOver("The run was stopped before this was decided.")
    ended = when(result["ended_at"])
    if result["timed_out"]:
        meaning = "" if outcome == "timed_out" else f"; it counts as {outcome}"
        return ApprovalOver(f"The time for this decision ended on {ended}{meaning}.")
    wanted = "approve" if outcome == "approved" else "reject"
    names = [one["who"] for one in result["by"] if one["decision"] == wanted]
    return AlreadyDecided(f"Already decided: {outcome} by {', '.join(names)} on {ended}.")


def when(time: datetime | str) -> str:
    """A time as people read it."""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{moment:%Y-%m-%d at %H:%M} UTC"


def check_texts(said: Decision | Delegation) -> None:
    """Raise `BadRequest` for what is too long to be kept."""
    if said.comment is not None and len(said.comment) > MAX_COMMENT:
        raise BadRequest(f"A comment has at most {MAX_COMMENT} characters.")
    if not 0 < len(said.id) <= _MAX_ID or len(said.how) > _MAX_ID:
        raise BadRequest(f"A decision's id has at most {_MAX_ID} characters.")


def check_form(form: Mapping[str, FormField], decision: Decision) -> None:
    """Raise `InvalidForm` with all that is wrong. Whoever rejects need not answer everything."""
    wrong = [f"there is no field {name!r}" for name in decision.form if name not in form]
    for name, asked in form.items():
        value = decision.form.get(name)
        label = asked.label or name
        if value is None or value == "":
            if asked.required and decision.decision == "approve":
                wrong.append(f"{label!r} must be answered")
        elif asked.type == "boolean":
            if not isinstance(value, bool):
                wrong.append(f"{label!r} is yes or no")
        elif asked.type == "number":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                wrong.append(f"{label!r} is a number")
        elif not isinstance(value, str) or len(value) > _MAX_TEXT:
            wrong.append(f"{label!r} is a text of at most {_MAX_TEXT} characters")
        elif asked.type == "choice" and value not in asked.choices:
            wrong.append(f"{label!r} is one of {', '.join(asked.choices)}")
    if wrong:
        raise InvalidForm("; ".join(wrong) + ".")
