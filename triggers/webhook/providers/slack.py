"""`provider: slack`: events, interactivity and slash commands of a Slack app.

Source: Slack Docs, "Verifying requests from Slack", "The Events API", "Handling user interaction"
and "Implementing slash commands". Slack signs `v0:timestamp:body` and wants a 200 within three
seconds; a body in it would be shown to the person as a message, so there is none.

The buttons of an approval that `slack.ask` has posted decide it. Who presses them is known by the
member's id alone, which Slack vouches for; names and addresses in Slack can be changed by their owners.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec
import structlog

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic, Forbidden, UnsupportedType
from hub.payload import media_type, read_form, read_json
from hub.trigger import Request, Response, Said
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import check_clock, digests, matches, presented
from triggers.webhook.settings import TimedSettings

__all__ = ["Slack", "SlackSettings"]

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


_BUTTONS = {"hub_approve": "approve", "hub_reject": "reject"}
_REPLY_SECONDS = 5.0
_log = structlog.get_logger("hub.webhook")


class SlackSettings(TimedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Slack app.

    `people` says who of the hub's people a member of the workspace is: the member's id
    (`U012AB3CD`) and the person's address. Only they decide by buttons. Where `team` is given, the
    id of a workspace, those of other workspaces that share a channel do not. `reply_url` is what
    the addresses of replies begin with, where that is not Slack's usual one.
    """

    people: dict[str, str] = msgspec.field(default_factory=dict)
    team: str | None = None
    reply_url: str = "https://hooks.slack.com/"


class Slack(Provider):
    """`X-Slack-Signature` over the time and the body, by the app's signing secret."""

    name = "slack"
    settings_type = SlackSettings
    answer = Response(status=200)
    settings: SlackSettings

    def __init__(self, settings: SlackSettings) -> None:
        super().__init__(settings)
        self._keys = [secret.encode() for secret in settings.secrets]
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: SlackSettings) -> Iterator[Diagnostic]:
        yield from checks.secret_given(settings, "SLACK_SIGNING_SECRET")
        yield from checks.tolerance(settings)
        for member, person in settings.people.items():
            if not member.isalnum() or not person.strip():
                yield Diagnostic(
                    message=f"{member!r} is no member's id, or {person!r} is nobody",
                    path=f"people.{member}",
                    code="invalid_value",
                    suggestion="for example U012AB3CD: ada@example.com",
                )
        if not settings.reply_url.startswith(("https://", "http://127.0.0.1:")):
            yield Diagnostic(
                message="replies are sent by https",
                path="reply_url",
                code="invalid_value",
                suggestion="leave it at https://hooks.slack.com/",
            )

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

    def said(self, body: Any) -> Sequence[Said]:
        if body.get("type") != "block_actions" or not isinstance(body.get("actions"), list):
            return ()
        return [
            self._said(body, _BUTTONS[name], action)
            for action in body["actions"]
            if isinstance(name := find(action, "action_id"), str) and name in _BUTTONS
        ]

    def _said(self, body: Any, decision: Any, action: Any) -> Said:
        member, token = find(body, "user", "id"), find(action, "value")
        if not isinstance(member, str) or not isinstance(token, str):
            raise BadRequest("the button does not say who pressed it, or what it stands for")
        teams = {find(body, "team", "id"), find(body, "user", "team_id")} - {None}
        if self.settings.team is not None and teams != {self.settings.team}:
            raise Forbidden("the button was pressed in another workspace, or by a member of one")
        once = hashlib.sha256(f"{token}\0{member}\0{decision}".encode()).hexdigest()[:32]
        return Said(
            id=once,
            token=token,
            decision=decision,
            account=f"Slack's {member}",
            who=self.settings.people.get(member),
            reply_to=(body.get("response_url"), find(body, "message", "blocks")),
        )

    async def reply(self, said: Said, text: str, *, is_over: bool) -> None:
        """By the address that came with the press: to all where it is decided, else to the person."""
        url, blocks = said.reply_to or (None, None)
        if not isinstance(url, str) or not url.startswith(self.settings.reply_url):
            return
        message: dict[str, Any] = {"text": text, "replace_original": is_over}
        if not is_over:
            message["response_type"] = "ephemeral"
        elif isinstance(blocks, list):
            kept = [block for block in blocks if find(block, "type") != "actions"]
            word = {"type": "plain_text", "text": text[:3000], "emoji": False}
            message["blocks"] = [*kept, {"type": "section", "text": word}]
        try:
            async with (
                httpx.AsyncClient(timeout=_REPLY_SECONDS, trust_env=False) as client,
                client.stream("POST", url, json=message) as answer,
            ):
                answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address itself is a secret of a kind, and so are messages that name it.
            _log.warning("Slack took no reply", reason=type(error).__name__)

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
