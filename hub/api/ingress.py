"""`POST /hooks/{trigger}`: the hot path, from the raw request to the durable event.

The handler is bare ASGI: it needs the untouched bytes, counts them itself, and must cost little
beside the commit that it waits for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from hub.api.body import read_body, read_headers, read_query
from hub.api.guards import ANYONE
from hub.api.said import Chat
from hub.api.services import Services
from hub.api.waiting import outcomes, wanted_wait
from hub.errors import HubError, NotFound
from hub.telemetry.metrics import REFUSED
from hub.telemetry.tracing import EXTENSION, span
from hub.trigger import HttpTrigger, Receipt, Received, Request, Response

__all__ = ["accepted", "hooks"]

_encode = msgspec.json.encode
_JSON = (b"content-type", b"application/json")
_NONE: list[tuple[bytes, bytes]] = []
_APPLIED = [(b"preference-applied", b"wait")]


def hooks(services: Services) -> ASGIRouteHandler:
    """The route of every HTTP trigger."""
    chat = Chat(services)

    async def receive_hook(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})
        root, _, name = scope["path"].rstrip("/").partition("/")
        # The name of callback links is theirs alone: the router believes what comes under it.
        trigger = None if root or name == "callback" else services.project().triggers.get(name)
        if not isinstance(trigger, HttpTrigger):
            raise NotFound(f"there is no webhook {name!r}")
        headers = read_headers(scope)
        try:
            with span(f"webhook {name}", parent=headers.get(EXTENSION), kind="SERVER"):
                received, receipts = await receive_events(trigger, headers, scope, receive)
        except HubError as error:
            REFUSED.labels(name, error.code).inc()
            raise
        if received.response is not None:
            await _send(send, received.response)
            return
        status, applied = 202, _NONE
        content = _encode(accepted(receipts))
        if "prefer" in headers and (seconds := wanted_wait(headers)) is not None:
            events = await outcomes(services, name, receipts, seconds)
            content, applied = _encode({"events": events}), _APPLIED
            status = 202 if any(event.status == "accepted" for event in events) else 200
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [_JSON, (b"content-length", b"%d" % len(content)), *applied],
            }
        )
        await send({"type": "http.response.body", "body": content, "more_body": False})

    async def receive_events(
        trigger: HttpTrigger, headers: Mapping[str, str], scope: Scope, receive: Receive
    ) -> tuple[Received, Sequence[Receipt]]:
        client = scope.get("client")
        body = await read_body(
            receive, headers, limit=trigger.max_body, timeout=services.body_timeout
        )
        received = await trigger.receive(
            Request(
                method="POST",
                path=f"/hooks/{trigger.name}",
                headers=headers,
                query=read_query(scope),
                query_string=scope["query_string"].decode("latin-1"),
                base_url=services.base_url.rstrip("/"),
                body=body,
                received_at=datetime.now(UTC),
                client=client[0] if client else None,
            )
        )
        claims = chat.claims(received.said) if received.said else ()
        receipts: Sequence[Receipt] = ()
        if received.events:
            receipts = await services.intake.accept(trigger.name, received.events)
        if received.said:
            await chat.decide(trigger, received.said, claims)
        return received, receipts

    return ASGIRouteHandler("/hooks", name="hooks", opt=ANYONE, is_mount=True, copy_scope=False)(
        receive_hook
    )


def accepted(receipts: Sequence[Receipt]) -> dict[str, object]:
    """What the sender is told: `id` of one event, `ids` of several, and which were known before."""
    if len(receipts) == 1:
        receipt = receipts[0]
        return {"id": receipt.id, "duplicate": True} if receipt.duplicate else {"id": receipt.id}
    answer: dict[str, object] = {"ids": [receipt.id for receipt in receipts]}
    duplicates = [receipt.id for receipt in receipts if receipt.duplicate]
    if duplicates:
        answer["duplicates"] = duplicates
    return answer


async def _send(send: Send, response: Response) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
    ]
    headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
