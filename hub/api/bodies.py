"""What the description says of routes that read raw requests: the bodies that they take, as schemas."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hub.api.approvals import DecisionBody, DelegationBody
from hub.api.replays import ReplayOptions
from hub.api.sessions import PasswordBody, SignInBody
from hub.api.sources import TreeText
from hub.api.users import NewToken, NewUser, UserChange

__all__ = ["BODIES"]

_SPAN = {
    "type": "object",
    "required": ["from", "to"],
    "properties": {
        "from": {"type": "string", "format": "date-time"},
        "to": {"type": "string", "format": "date-time"},
        "overlap": {"type": "string"},
    },
}
_NOTE = {"type": "object", "properties": {"note": {"type": "string", "maxLength": 1000}}}
_OVERLAP = {"type": "object", "properties": {"overlap": {"type": "string"}}}


def _of(kind: type[msgspec.Struct], *, required: bool = True) -> dict[str, Any]:
    """A body of this struct, which holds no further structs."""
    schema = msgspec.json.schema(kind)
    return _json(schema["$defs"][kind.__name__], required=required)


def _json(schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


_SCHEDULE = "/api/schedules/{tree}/{event}"
BODIES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("/api/approvals/{approval_id}/decision", "post"): _of(DecisionBody),
    ("/api/approvals/{approval_id}/delegation", "post"): _of(DelegationBody),
    ("/api/events/{event_id}/replay", "post"): _of(ReplayOptions, required=False),
    ("/api/trees/{name}", "put"): _of(TreeText),
    ("/api/trees/{name}/validate", "post"): _of(TreeText),
    ("/api/session", "post"): _of(SignInBody),
    ("/api/session/password", "post"): _of(PasswordBody),
    ("/api/users", "post"): _of(NewUser),
    ("/api/users/{name}", "put"): _of(UserChange),
    ("/api/tokens", "post"): _of(NewToken),
    (f"{_SCHEDULE}/trigger", "post"): _json(_OVERLAP),
    (f"{_SCHEDULE}/pause", "post"): _json(_NOTE),
    (f"{_SCHEDULE}/resume", "post"): _json(_NOTE),
    (f"{_SCHEDULE}/backfill", "post"): _json(_SPAN, required=True),
}
