"""Decisions that people make elsewhere, by buttons in a chat: they come in through a trigger.

The trigger has proved who pressed a button; the token in it proves that this hub made the button.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from hub.api.approvals import pending_approvals
from hub.api.services import Services
from hub.audit import Actor
from hub.errors import Busy, Forbidden, Gone, HubError, NotFound, Unreachable
from hub.links import ButtonClaims
from hub.run.approvals import Answer, Decision
from hub.trigger import HttpTrigger, Said

__all__ = ["Chat"]

_log = structlog.get_logger("hub.api")
_OUTCOMES = {"approved": "approved", "rejected": "rejected", "timed_out": "over"}


class Chat:
    """Takes what people say in chats to the runs that asked, and the answers back to them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._replies: set[asyncio.Task[None]] = set()

    def claims(self, said: Sequence[Said]) -> list[ButtonClaims | Gone]:
        """What each button stands for. Raises `Forbidden` where one is not of this hub."""
        found: list[ButtonClaims | Gone] = []
        for one in said:
            try:
                found.append(self._services.links.verify_buttons(one.token, datetime.now(UTC)))
            except Gone as error:
                found.append(error)
            except NotFound:
                raise Forbidden("the button is not one that this hub has made") from None
        return found

    async def decide(
        self, trigger: HttpTrigger, said: Sequence[Said], claims: Sequence[ButtonClaims | Gone]
    ) -> None:
        """Decide, and let the people know. Raises `Unreachable` or `Busy`: then nobody knows."""
        for one, claim in zip(said, claims, strict=True):
            text, is_over = await self._decide(trigger, one, claim)
            reply = asyncio.create_task(trigger.reply(one, text, is_over=is_over))
            self._replies.add(reply)
            reply.add_done_callback(self._done)

    def _done(self, reply: asyncio.Task[None]) -> None:
        self._replies.discard(reply)
        if not reply.cancelled() and (error := reply.exception()) is not None:
            _log.warning("a person was not told what came of a button", exc_info=error)

    async def _decide(
        self, trigger: HttpTrigger, said: Said, claims: ButtonClaims | Gone
    ) -> tuple[str, bool]:
        """What the person is told, and whether the question is decided for all."""
        if isinstance(claims, Gone):
            return "The time for this decision is over.", True
        audit = self._services.journal.audit
        action, place = f"approval.{said.decision}", f"{claims.run_id} {claims.path}"
        if said.who is None:
            actor = Actor(who=said.account, how="chat")
            await audit.note(actor, action, place, outcome="refused", reason="nobody is known so")
            told = (
                f"This hub does not know who {said.account} is, so nothing was recorded. It is "
                f"told by `people` of the webhook {trigger.name!r}."
            )
            return told, False
        decision = Decision(
            id=said.id,
            path=claims.path,
            approval=claims.approval,
            decision=said.decision,
            who=said.who,
            how=trigger.way,
        )
        try:
            async with audit.change(Actor(who=said.who, how="chat"), action, place, after={}) as c:
                answer = await pending_approvals(self._services).decide(claims.run_id, decision)
                c.after = {"outcome": answer.outcome}
        except (Unreachable, Busy):
            raise
        except HubError as error:
            return error.message, error.code in ("already_decided", "approval_over")
        return _told(answer), answer.outcome != "pending"


def _told(answer: Answer) -> str:
    said = "approved" if answer.decision == "approve" else "rejected"
    if answer.outcome == "pending":
        stands = f"{answer.approvals} of {answer.quorum} approvals are there."
    else:
        stands = f"With that it is {_OUTCOMES[answer.outcome]}."
    return f"{answer.who} has {said} it. {stands}"
