"""Every error that a user can meet, as one tree.

HubError
├── InvalidDefinition        a tree or project that cannot be used; carries all its diagnostics
├── ExpressionError          an expression that cannot be compiled or evaluated
├── InvalidDuration          a text that is no duration
├── InvalidEvent             a payload that is no event
├── NodeFailed               a node of a run failed
├── EndlessRun               a simulated run that comes to no end
├── ActionFailed             a connector's action failed
│   └── ActionRefused        ... in a way that no retry can mend
├── Refused                  an incoming request that is turned away
│   ├── BadSignature         its signature is missing, wrong or too old
│   ├── BadRequest           its body cannot be read
│   │   ├── InvalidForm      what an approval asks is not answered, or not as it asks
│   │   └── InvalidDelegate  a decision is passed on to somebody who cannot have it
│   ├── Unauthorized         nobody has signed in, or not rightly; no token, or one that is not good
│   ├── Forbidden            the caller may not do that, or not from there
│   │   └── NotYours         an approval that somebody else is asked for
│   ├── TooLarge             its body is over the limit
│   ├── TooSlow              its body did not come in time
│   ├── UnsupportedType      its body is of a content type that is not taken here
│   ├── NotFound             there is nothing of that name
│   ├── Conflict             the thing has changed meanwhile, or is in the wrong state for that
│   │   ├── AlreadyDecided   an approval that others have decided
│   │   ├── DecidedBefore    an approval that this very person has decided on
│   │   └── NotMigratable    a run whose state does not map onto another definition
│   ├── Gone                 a link that has expired or was used
│   │   └── ApprovalOver     an approval whose time is over, or whose run was stopped
│   ├── RateLimited          more requests than this trigger takes in a time
│   └── Busy                 the hub is full, or a part of it is away; come again later
├── MissingSecret            a setting names an environment variable that is not set
├── InvalidSetting           a HUB_* setting has a value that cannot be used
├── WrongUsage               a command was given something that it cannot read
├── Undeliverable            an event that the place where runs live refuses for good
├── Unreachable              a server that is needed does not answer
│   ├── CredentialsRefused   ... to whom the hub says it is
│   └── NotPrepared          ... for the hub, as it lacks what `hub apply` makes
└── PortTaken                another program listens where the hub wants to
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

__all__ = [
    "ActionFailed",
    "ActionRefused",
    "AlreadyDecided",
    "ApprovalOver",
    "BadRequest",
    "BadSignature",
    "Busy",
    "Conflict",
    "CredentialsRefused",
    "DecidedBefore",
    "Diagnostic",
    "EndlessRun",
    "ExpressionError",
    "Forbidden",
    "Gone",
    "HubError",
    "InvalidDefinition",
    "InvalidDelegate",
    "InvalidDuration",
    "InvalidEvent",
    "InvalidForm",
    "InvalidSetting",
    "MissingSecret",
    "NodeFailed",
    "NotFound",
    "NotMigratable",
    "NotPrepared",
    "NotYours",
    "PortTaken",
    "RateLimited",
    "Refused",
    "TooLarge",
    "TooSlow",
    "Unauthorized",
    "Undeliverable",
    "Unreachable",
    "UnsupportedType",
    "WrongUsage",
]


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a definition, and where.

    `path` is the place inside the document (`do[1].fallback[0].wait_for`), `line` and `column`
    count from 1 and are None where the document has no text.
    """

    message: str
    path: str = ""
    code: str = "invalid"
    severity: str = "error"
    suggestion: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.file or "<tree>"
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        where = f" (at {self.path})" if self.path else ""
        hint = f"\n    {self.suggestion}" if self.suggestion else ""
        return f"{place}: {self.severity}: {self.message}{where}{hint}"


class HubError(Exception):
    """The hub cannot do what was asked."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    """The HTTP status that stands for this error."""
    exit_code: ClassVar[int] = 1
    """The exit code that stands for this error: 1 it is not so, 2 wrong usage, 3 unreachable."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or self.code).strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class InvalidDefinition(HubError):
    """The definition has errors."""

    code = "invalid_definition"
    status = 422

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__("\n".join(str(d) for d in diagnostics) or None)


class ExpressionError(HubError):
    """The expression cannot be evaluated."""

    code = "expression"
    status = 422

    def __init__(
        self, message: str, *, expression: str | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.expression = expression
        self.suggestion = suggestion


class InvalidDuration(HubError):
    """The text is not a duration."""

    code = "invalid_duration"
    status = 422


class InvalidEvent(HubError):
    """The payload is not an event."""

    code = "invalid_event"
    status = 400


class NodeFailed(HubError):
    """A node of a run failed.

    `failure` is the stable code (`timeout`, `check_failed`, a connector's code, ...) that
    `retry.unless` and `catch` compare with; `path` is the node's place in the tree. `harmless`
    says that it is known to have failed before anything was done.
    """

    code = "node_failed"

    def __init__(
        self, failure: str, message: str, path: str = "", *, harmless: bool = False
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.path = path
        self.harmless = harmless


class EndlessRun(HubError):
    """The simulation comes to no end."""

    code = "endless_run"


class ActionFailed(HubError):
    """An action failed and may be tried again.

    `failure` is the connector's stable code for what happened. `retry_after` (seconds) is what the
    other side asked for, if it did.
    """

    code = "action_failed"
    retryable: ClassVar[bool] = True

    def __init__(self, failure: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.failure = failure
        self.retry_after = retry_after


class ActionRefused(ActionFailed):
    """An action failed in a way that no retry can mend."""

    code = "action_refused"
    retryable = False


class Refused(HubError):
    """The request was turned away."""

    code = "refused"
    status = 400


class BadSignature(Refused):
    """The signature is missing or does not match."""

    code = "bad_signature"
    status = 401


class BadRequest(Refused):
    """The body cannot be read."""

    code = "bad_request"
    status = 400


class InvalidForm(BadRequest):
    """What is asked is not answered."""

    code = "invalid_form"


class InvalidDelegate(BadRequest):
    """The decision cannot be passed on to that person."""

    code = "invalid_delegate"


class Unauthorized(Refused):
    """Sign in first."""

    code = "unauthorized"
    status = 401


class Forbidden(Refused):
    """That is not allowed, or not from there."""

    code = "forbidden"
    status = 403


class NotYours(Forbidden):
    """Somebody else is asked to decide that."""

    code = "not_yours"


class TooLarge(Refused):
    """The body is larger than this trigger takes."""

    code = "too_large"
    status = 413


class TooSlow(Refused):
    """The body did not come in time."""

    code = "too_slow"
    status = 408


class UnsupportedType(Refused):
    """The body's content type is not taken here."""

    code = "unsupported_type"
    status = 415


class NotFound(Refused):
    """There is nothing of that name."""

    code = "not_found"
    status = 404


class Conflict(Refused):
    """It is not in a state for that."""

    code = "conflict"
    status = 409


class NotMigratable(Conflict):
    """The run cannot be moved to that definition; `reasons` say why."""

    code = "not_migratable"

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = list(reasons)


class AlreadyDecided(Conflict):
    """That is decided already."""

    code = "already_decided"


class DecidedBefore(Conflict):
    """You have already decided."""

    code = "decided_before"


class Gone(Refused):
    """The link has expired."""

    code = "gone"
    status = 410


class ApprovalOver(Gone):
    """That is not to be decided any more."""

    code = "approval_over"


class RateLimited(Refused):
    """More requests came than are taken in a time; try again later."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(Refused):
    """The hub cannot take more just now; try again in a moment."""

    code = "busy"
    status = 503

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class MissingSecret(HubError):
    """A setting names an environment variable that is not set."""

    code = "missing_secret"


class InvalidSetting(HubError):
    """A setting has a value that cannot be used."""

    code = "invalid_setting"
    exit_code = 2


class WrongUsage(HubError):
    """The command cannot read what it was given."""

    code = "wrong_usage"
    status = 400
    exit_code = 2


class Undeliverable(HubError):
    """The event cannot be delivered, however often it is tried."""

    code = "undeliverable"
    status = 422


class Unreachable(HubError):
    """A server that is needed does not answer."""

    code = "unreachable"
    status = 503
    exit_code = 3


class CredentialsRefused(Unreachable):
    """A server that is needed does not believe who the hub says it is."""

    code = "credentials_refused"


class NotPrepared(Unreachable):
    """A server that is needed lacks what the hub has to find there."""

    code = "not_prepared"


class PortTaken(HubError):
    """Another program listens on that port."""

    code = "port_taken"
