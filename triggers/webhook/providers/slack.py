"""`provider: slack`: events, interactivity and slash commands of a Slack app.

Source: Slack Docs, "Verifying requests from Slack", "The Events API", "Handling user interaction"
and "Implementing slash commands". Slack signs `v0:timestamp:body` and wants a 200 within three
seconds; a body in it would be shown to the person as a message, so there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic, UnsupportedType
from hub.payload import media_type, read_form, read_json
from hub.trigger import Request, Response
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, digests, matches, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["Slack"]

_TIME = "x-slack-request-timestamp"
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_SUBJECTS = (
    ("event", "channel"),
    ("event", "channel", "id"),
    ("event", "item", "channel"),
    ("channel", "id"),
    ("channel_id",),
    ("event", "user"),
    ("user", "id"),
)


class Slack(Provider):
    """`X-Slack-Signature` over the time and the body, by the app's signing secret."""

    name = "slack"
    settings_type = TimedSettings
    answer = Response(status=200)

    def __init__(self, settings: TimedSettings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: TimedSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "SLACK_SIGNING_SECRET")
        yield from checks.tolerance(settings)

    async def verify(self, request: Request) -> None:
        given = presented(request, "x-slack-signature")
        time = presented(request, _TIME)
        signed = b"v0:" + time.encode("utf-8", "surrogatepass") + b":" + request.body
        expected = [b"v0=" + digest.hex().encode() for digest in digests(self._keys, signed)]
        if not matches(expected, [given]):
            raise BadSignature("the signature does not match the body")
        check_clock(request, time, self._tolerance)

    def read(self, request: Request) -> tuple[Any, bool]:
        """The JSON of an event or of a form's `payload`, or a slash command's form.

        Slack's old verification token stands in each of them; it is a secret and goes no further.
        """
        kind = media_type(request.headers.get("content-type", ""))
        body: Any
        if kind == "application/json":
            body = read_json(request.body)
        elif kind == "application/x-www-form-urlencoded":
            body = read_form(request.body)
            payload = body.get("payload")
            if isinstance(payload, str):
                body = read_json(payload.encode())
        else:
            raise UnsupportedType(f"Slack sends JSON or a form, not {kind or 'no content type'!r}")
        if not isinstance(body, dict):
            raise BadRequest("that is no request of Slack")
        return {name: value for name, value in body.items() if name != "token"}, False

    def handshake(self, request: Request, body: Any) -> Response | None:
        """Slack asks whether the address is ours, and whether its certificate is good."""
        if body.get("type") == "url_verification":
            challenge = text_of(body.get("challenge"))
            if challenge is None:
                raise BadRequest("the request to verify the address has no challenge")
            return Response(headers=_TEXT, body=challenge.encode())
        return Response() if body.get("ssl_check") == "1" else None

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """The id is the event's, or that of the person's click; both are signed."""
        if "command" in body:
            kind = "slash_command"
        else:
            kind = text_of(find(body, "event", "type")) or text_of(body.get("type")) or ""
        if not kind:
            raise BadRequest("that is no event of Slack: it has no type")
        time = (
            moment_of(body.get("event_time"))
            or moment_of(find(body, "actions", 0, "action_ts"))
            or moment_of(request.headers[_TIME])
        )
        subjects = (text_of(find(body, *path)) for path in _SUBJECTS)
        return [
            Draft(
                body=body,
                id=text_of(body.get("event_id"))
                or text_of(body.get("trigger_id"))
                or digest_of(request.body),
                type=kind,
                subject=next((subject for subject in subjects if subject), None),
                time=time,
                data=body,
            )
        ]
