"""The notices by which people are asked: a mail with a link to each, a post with buttons for all."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from hub.durations import format_duration
from hub.run.approvals.approval import ApprovalState, Kind, Notice
from hub.run.approvals.decision import when
from hub.run.home import ActionCall
from hub.run.outside import make_call
from hub.tree.node import Node
from hub.tree.nodes.approval import Notify, SlackPost

if TYPE_CHECKING:
    from hub.run.run import TreeRun
    from hub.run.view import View

__all__ = ["LinkMark", "is_expected_to_arrive", "make_notice"]

_LINK_LASTS = timedelta(days=30)
_NO_WAY = ("unknown_connection", "unknown_connector", "unknown_action")
_HEADS: dict[Kind, str] = {
    "asked": "Your approval is asked for",
    "reminder": "Reminder: your approval is asked for",
    "escalation": "Escalated to you: your approval is asked for",
    "delegated": "Passed on to you: your approval is asked for",
}
_POST_HEADS: dict[Kind, str] = {
    "asked": "Approval is asked for",
    "reminder": "Reminder: approval is asked for",
    "escalation": "Escalated: approval is asked for",
    "delegated": "Passed on: approval is asked for",
}


class LinkMark(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told of a decision link that it is to make: who decides what by it.

    Without `who` it is the token of buttons instead, by which each decides as who they are there.
    """

    path: str
    approval: str
    expires_at: datetime
    who: str | None = None

    def mark(self, nonce: str) -> str:
        """The text that stands for the link until the worker puts it there."""
        packed = base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")
        return f"[decision:{nonce}:{packed}]"

    @classmethod
    def read(cls, packed: str) -> LinkMark:
        """The same from the mark's last part. Raises `ValueError`."""
        text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        return msgspec.json.decode(text, type=cls)


def is_expected_to_arrive(approval: ApprovalState, notice: Notice, failure: str) -> bool:
    """Is it worth a word that the notice failed so? Mails are only sent where there is a way."""
    return failure not in _NO_WAY or notice.by != "mail" or isinstance(approval.notify, Notify)


def make_notice(
    run: TreeRun, view: View, node: Node, place: str, approval: ApprovalState, notice: Notice
) -> ActionCall:
    """The action that sends the notice."""
    lasts = run.home.now() + _LINK_LASTS
    mark = LinkMark(
        path=view.path(node),
        approval=approval.id,
        who=notice.to or None,
        expires_at=lasts if approval.deadline is None else min(lasts, approval.deadline),
    ).mark(run.state.nonce)
    how = approval.notify if isinstance(approval.notify, Notify) else Notify()
    if notice.by == "slack":
        post = how.slack or SlackPost()
        action, connection = "slack.ask", post.connection
        arguments = _post(run.state.id, approval, notice, mark)
        if post.channel is not None:
            arguments["channel"] = post.channel
    else:
        action, connection = "email.send", how.connection
        arguments = _mail(run.state.id, approval, notice, mark, how.template)
    scope = view.action_scope() if run.home.wants_scope(action) else None
    return make_call(run.state, node, place, action, arguments, connection=connection, scope=scope)


def _mail(
    run_id: str, approval: ApprovalState, notice: Notice, link: str, template: str | None
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "to": notice.to,
        "subject": f"{_HEADS[notice.kind]}: {approval.title}",
    }
    if template is None:
        arguments["text"] = "\n\n".join(_letter(run_id, approval, notice, link))
    else:
        arguments["template"] = template
        seen = {"details": approval.details, "kind": notice.kind, "to": notice.to}
        arguments["data"] = {"approval": approval.view() | seen, "decision_url": link}
    return arguments


def _post(run_id: str, approval: ApprovalState, notice: Notice, token: str) -> dict[str, Any]:
    lines = [*_standing(approval), f"Asked: {', '.join(_some(approval.undecided()))}"]
    if any(asked.required for asked in approval.form.values()):
        lines.append("To approve, a form is to be filled in: use the link in the mail, or the hub.")
    lines.append(f"Run: {run_id}")
    return {
        "head": _POST_HEADS[notice.kind],
        "title": approval.title,
        "details": approval.details,
        "lines": lines,
        "token": token,
    }


def _some(people: Sequence[str]) -> list[str]:
    return list(people) if len(people) <= 10 else [*people[:9], f"and {len(people) - 9} others"]


def _standing(approval: ApprovalState) -> Iterator[str]:
    if approval.quorum > 1:
        yield f"{approval.approvals()} of {approval.quorum} approvals are there."
    if approval.deadline is not None:
        left = approval.deadline - approval.opened_at
        yield (
            f"It can be decided until {when(approval.deadline)} "
            f"({format_duration(left)} after it was asked for)."
        )


def _letter(run_id: str, approval: ApprovalState, notice: Notice, link: str) -> Iterator[str]:
    yield approval.title
    if notice.kind == "delegated" and approval.delegations:
        passed = next((d for d in reversed(approval.delegations) if d.to == notice.to), None)
        if passed is not None:
            said = f": {passed.comment}" if passed.comment else "."
            yield f"{passed.who} has passed this decision on to you{said}"
    if approval.details:
        yield approval.details
    yield from _standing(approval)
    yield f"See it, and approve or reject it:\n{link}"
    yield (
        f"You decide as {notice.to}. Whoever has this link can decide in your name, so do not pass "
        "it on."
    )
    yield f"Run: {run_id}"
