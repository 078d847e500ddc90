"""What a provider does for the webhook: verify a request, read it, and say what events are in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from hub.cloudevents import read_data
from hub.errors import Diagnostic
from hub.trigger import Request, Response, Said
from triggers.webhook.providers.fields import find, text_of
from triggers.webhook.settings import Settings

__all__ = ["Draft", "Provider"]

_ID_HEADER = "webhook-id"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the provider has it, before the settings' own expressions.

    `body` is what those expressions call so. What is None is left to the webhook: a fresh id, the
    type `<name>.received`, the time of receipt; `data` that is not set is the whole body.
    """

    body: Any
    id: str | None = None
    type: str | None = None
    subject: str | None = None
    time: datetime | None = None
    data: Any = msgspec.UNSET
    extensions: dict[str, str | int | bool] = {}


class Provider(ABC):
    """One kind of sender, configured for one webhook: how it proves its requests, what they say.

    It is made only of settings that `check` finds no fault with. The webhook calls `verify`, then
    `read`, then `handshake`, then `said` and `draft`.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = Settings
    proves: ClassVar[Literal["body", "caller"]] = "body"
    """What `verify` vouches for: the body that was signed, or the caller and so all it sends."""
    cloudevents: ClassVar[bool] = False
    """Does it carry CloudEvents? In binary mode only where the headers are vouched for too."""
    answer: ClassVar[Response | None] = None
    """What the sender wants to hear of accepted events; None where the hub's own 202 will do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def check(cls, settings: Any) -> Iterator[Diagnostic]:
        """What is wrong with the settings, each fault with the field as its path."""

    @abstractmethod
    async def verify(self, request: Request) -> None:
        """Prove the request on its raw bytes. Raises `BadSignature`."""

    def read(self, request: Request) -> tuple[Any, bool]:
        """The body's value, and whether it is base64 of raw bytes. Raises `Refused`."""
        return read_data(request.headers.get("content-type", ""), request.body)

    def handshake(self, request: Request, body: Any) -> Response | None:
        """The answer to a request that brings no event but wants one; None for all others."""
        return None

    def said(self, body: Any) -> Sequence[Said]:
        """What people say in it to the hub's own questions. Raises `Refused`."""
        return ()

    async def reply(self, said: Said, text: str, *, is_over: bool) -> None:
        """Tell a person what came of it. Never raises for what the other side does."""
        return

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """The events in a request. Raises `BadRequest` for what this provider does not send.

        Unless a provider knows better: `id` from the header `webhook-id` or else `body.id`, `type`
        from `body.type`, `data` from `body.data`.
        """
        return [
            Draft(
                body=body,
                id=text_of(request.headers.get(_ID_HEADER)) or text_of(find(body, "id")),
                type=type_ if isinstance(type_ := find(body, "type"), str) else None,
                data=body["data"] if isinstance(body, dict) and "data" in body else msgspec.UNSET,
            )
        ]
