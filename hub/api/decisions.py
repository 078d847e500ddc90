"""`/decisions/{token}`: the links by which people decide on approvals.

GET and HEAD change nothing, as mail scanners and previews follow links; only the buttons' POST
decides. The token is the whole authority: who opens a link decides as the person for whom it was
made, and the page says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api import decision_pages as pages
from hub.api.actors import actor_of
from hub.api.approvals import pending_approvals, view_of
from hub.api.guards import ANYONE
from hub.api.services import Services
from hub.api.signed import json_answer, page_answer, probed, read_given, refusal, wants_json
from hub.errors import BadRequest, HubError, InvalidForm
from hub.links import DecisionClaims
from hub.run.approvals import Decision

__all__ = ["decisions"]

_FIELD = "field."


def decisions(services: Services) -> list[HTTPRouteHandler]:
    """The routes of decision links."""

    async def approval_of(claims: DecisionClaims) -> dict[str, Any]:
        shown = await pending_approvals(services).show(claims.run_id, claims.path, claims.approval)
        return view_of(shown)

    @get("/decisions/{token:str}", opt=ANYONE, summary="What is to be decided", tags=["approvals"])
    async def show_decision(
        request: Request[Any, Any, Any], token: FromPath[str]
    ) -> Response[bytes]:
        try:
            claims = services.links.verify_decision(token, datetime.now(UTC))
            approval = await approval_of(claims)
        except HubError as error:
            return refusal(request, error, pages.refused)
        if wants_json(request):
            return json_answer({"who": claims.who, "run_id": claims.run_id, "approval": approval})
        return page_answer(pages.ask(approval, claims))

    @route(
        "/decisions/{token:str}", http_method=[HttpMethod.HEAD], opt=ANYONE, include_in_schema=False
    )
    async def probe_decision(token: FromPath[str]) -> Response[None]:
        return probed(lambda: services.links.verify_decision(token, datetime.now(UTC)))

    @post(
        "/decisions/{token:str}", opt=ANYONE, status_code=200, summary="Decide", tags=["approvals"]
    )
    async def decide(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        approval: dict[str, Any] | None = None
        try:
            claims = services.links.verify_decision(token, datetime.now(UTC))
            given, is_form = await read_given(request, services.body_timeout)
            if is_form:
                approval = await approval_of(claims)
                given = _from_page(given, approval["form"])
            decision = _decision(given, claims, token)
            async with services.journal.audit.change(
                msgspec.structs.replace(actor_of(request), who=claims.who, how="link"),
                f"approval.{decision.decision}",
                f"{claims.run_id} {claims.path}",
                after={"comment": decision.comment, "form": decision.form},
            ) as change:
                answer = await pending_approvals(services).decide(claims.run_id, decision)
                change.after |= {"outcome": answer.outcome}
        except InvalidForm as error:
            if approval is None or wants_json(request):
                return refusal(request, error, pages.refused)
            page = pages.ask(approval, claims, problem=error.message, given=given)
            return page_answer(page, status=error.status)
        except HubError as error:
            return refusal(request, error, pages.refused)
        return json_answer(answer) if wants_json(request) else page_answer(pages.recorded(answer))

    return [show_decision, probe_decision, decide]


def _decision(given: Mapping[str, Any], claims: DecisionClaims, token: str) -> Decision:
    decision = given.get("decision")
    comment, form = given.get("comment"), given.get("form") or {}
    if decision not in ("approve", "reject"):
        raise BadRequest("'decision' is 'approve' or 'reject'")
    if not isinstance(comment, str | None) or not isinstance(form, dict):
        raise BadRequest("'comment' is a text and 'form' a mapping")
    # A button that is pressed twice is one decision.
    once = hashlib.sha256(f"{token}\0{decision}".encode()).hexdigest()[:32]
    return Decision(
        id=once,
        path=claims.path,
        approval=claims.approval,
        decision=decision,
        who=claims.who,
        how="link",
        comment=comment,
        form=form,
    )


def _from_page(sent: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's form says, with values of the kinds that are asked for."""
    values: dict[str, Any] = {}
    for name, asked in form.items():
        value = sent.get(_FIELD + name)
        if asked["type"] == "boolean":
            values[name] = value is not None
        elif isinstance(value, str) and value.strip():
            values[name] = _number(value) if asked["type"] == "number" else value.strip()
    return {"decision": sent.get("decision"), "comment": sent.get("comment"), "form": values}


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    # What JSON cannot say is no number for a form either.
    return number if abs(number) < float("inf") else text
