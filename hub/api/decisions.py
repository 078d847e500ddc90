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
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from hub.api import decision_pages as pages
from hub.api.actors import actor_of
from hub.api.approvals import pending_approvals, view_of
from hub.api.body import read_body, read_headers
from hub.api.guards import ANYONE
from hub.api.problems import problem_of, respond_with_problem
from hub.api.services import Services
from hub.cloudevents import read_data
from hub.errors import BadRequest, HubError, InvalidForm
from hub.links import DecisionClaims
from hub.run.approvals import Decision

__all__ = ["decisions"]

_MAX_BODY = 64 * 1024
_FIELD = "field."
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
    "vary": "accept",
}


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
            return _problem(request, error)
        if _wants_json(request):
            return _json({"who": claims.who, "run_id": claims.run_id, "approval": approval})
        return _page(pages.ask(approval, claims))

    @route(
        "/decisions/{token:str}", http_method=[HttpMethod.HEAD], opt=ANYONE, include_in_schema=False
    )
    async def probe_decision(token: FromPath[str]) -> Response[None]:
        status = 200
        try:
            services.links.verify_decision(token, datetime.now(UTC))
        except HubError as error:
            status = error.status
        return Response(None, status_code=status, media_type=MediaType.HTML, headers=_HEADERS)

    @post(
        "/decisions/{token:str}", opt=ANYONE, status_code=200, summary="Decide", tags=["approvals"]
    )
    async def decide(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        approval: dict[str, Any] | None = None
        try:
            claims = services.links.verify_decision(token, datetime.now(UTC))
            given, is_form = await _given(request, services.body_timeout)
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
            if approval is None or _wants_json(request):
                return _problem(request, error)
            page = pages.ask(approval, claims, problem=error.message, given=given)
            return _page(page, status=error.status)
        except HubError as error:
            return _problem(request, error)
        return _json(answer) if _wants_json(request) else _page(pages.recorded(answer))

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


async def _given(request: Request[Any, Any, Any], timeout: float) -> tuple[dict[str, Any], bool]:
    headers = read_headers(request.scope)
    body = await read_body(request.receive, headers, limit=_MAX_BODY, timeout=timeout)
    kind = headers.get("content-type", "")
    data, _ = read_data(kind, body) if body.strip() else ({}, None)
    if not isinstance(data, dict):
        raise BadRequest("the body is a form or a JSON object")
    return data, "json" not in kind


def _wants_json(request: Request[Any, Any, Any]) -> bool:
    best = request.accept.best_match(["text/html", "application/json"])
    return best == "application/json"


def _problem(request: Request[Any, Any, Any], error: HubError) -> Response[bytes]:
    if _wants_json(request):
        response = respond_with_problem(request, error)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response
    problem, headers = problem_of(error)
    return _page(pages.refused(problem), status=problem.status, headers=headers)


def _page(
    page: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[bytes]:
    return Response(
        page.encode(),
        status_code=status,
        media_type=MediaType.HTML,
        headers=_HEADERS | {"content-security-policy": pages.POLICY} | (headers or {}),
    )


def _json(value: object) -> Response[bytes]:
    return Response(msgspec.json.encode(value), media_type=MediaType.JSON, headers=_HEADERS)
