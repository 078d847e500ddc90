"""slack: post messages, and approvals with buttons.

    connections:
      team:
        slack: {token: "${{ env.SLACK_TOKEN }}", channel: "#alerts"}
      alerts:
        slack: {webhook_url: "${{ env.SLACK_WEBHOOK }}"}

Source: Slack's Web API, `chat.postMessage`, "Incoming webhooks", "Rate limits".
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from connectors.http.client import Ask, Client, host_of
from connectors.http.settings import Auth, check_url
from connectors.http.settings import Settings as HttpSettings
from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused

__all__ = ["Message", "Posted", "Question", "Settings", "Slack"]

_MAX_HEADER, _MAX_TEXT, _MAX_VALUE = 150, 3000, 2000
_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"}
    | {"request_timeout", "team_added_to_org"}
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A Slack app: a bot's token, or the URL of an incoming webhook."""

    token: Annotated[
        str | None, Meta(description="Token of a bot with the scope `chat:write` (`xoxb-...`)")
    ] = None
    webhook_url: Annotated[
        str | None, Meta(description="URL of an incoming webhook; it posts to its own channel only")
    ] = None
    channel: Annotated[
        str | None, Meta(description="Channel of messages that name none: its id or `#name`")
    ] = None
    api_url: Annotated[str, Meta(description="The API, where it is not Slack's usual one")] = (
        "https://slack.com/api"
    )
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one message, in seconds")
    ] = 20.0

    def __post_init__(self) -> None:
        if (self.token is None) == (self.webhook_url is None):
            raise ValueError("needs either `token` or `webhook_url`")
        check_url("api_url", self.api_url)
        if self.webhook_url is not None:
            check_url("webhook_url", self.webhook_url)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message: `text`, `blocks`, or both (then the text is what notifications show)."""

    text: Annotated[str | None, Meta(description="Text in Slack's markup")] = None
    blocks: Annotated[
        list[dict[str, Any]], Meta(description="Blocks, as Slack's Block Kit builder makes them")
    ] = []
    channel: Annotated[
        str | None, Meta(description="Where to, if not the connection's channel")
    ] = None
    thread: Annotated[
        str | None, Meta(description="Answer to this message: the `ts` that an earlier post gave")
    ] = None
    unfurl: Annotated[bool, Meta(description="Show previews of links")] = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What people are to approve or reject by buttons. All of it is plain text."""

    title: Annotated[str, Meta(description="What is to be approved, in one line")]
    token: Annotated[str, Meta(description="What the buttons carry: the hub puts it there")]
    head: Annotated[str, Meta(description="The line above")] = "Approval is asked for"
    details: Annotated[str | None, Meta(description="What people should know to decide")] = None
    lines: Annotated[list[str], Meta(description="Further lines")] = []
    channel: Annotated[
        str | None, Meta(description="Where to, if not the connection's channel")
    ] = None


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """Where the message is. A webhook does not tell."""

    channel: Annotated[str | None, Meta(description="Id of the channel")] = None
    ts: Annotated[str | None, Meta(description="The message within it, for `thread`")] = None


class Slack(Connector):
    """Posts to Slack."""

    name: ClassVar[str] = "slack"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        url = settings.webhook_url or settings.api_url
        auth = None if settings.token is None else Auth(bearer=settings.token)
        http = HttpSettings(
            base_url=url, auth=auth, timeout=settings.timeout, idempotency_header=None
        )
        self._client = Client(http, project, [url] if settings.webhook_url else [])

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def address(self) -> str | None:
        """The API, or for a webhook only whose it is: the rest of its URL is a secret."""
        return host_of(self.settings.webhook_url or self.settings.api_url)

    async def check(self) -> str | None:
        """Ask whose token it is. A webhook can only be tried by posting."""
        if self.settings.token is None:
            return None
        said = await self._ask("auth.test", {}, f"check-{uuid.uuid4().hex}")
        return f"the token is {said.get('user')}'s, in {said.get('team')}"

    @action(timeout=timedelta(minutes=10))
    async def post(self, message: Message, call: Call) -> Posted:
        """Post a message.

        Slack has no way to recognise a repeated message: one whose answer was lost is posted again.
        """
        if message.text is None and not message.blocks:
            raise ActionRefused("invalid_input", "text: is required, or `blocks`")
        body: dict[str, Any] = {"unfurl_links": message.unfurl, "unfurl_media": message.unfurl}
        if message.text is not None:
            body["text"] = message.text
        if message.blocks:
            body["blocks"] = message.blocks
        if message.thread is not None:
            body["thread_ts"] = message.thread
        if self.settings.webhook_url is not None:
            if message.channel is not None:
                raise ActionRefused(
                    "invalid_input", "channel: a webhook posts to its own channel only"
                )
            await self._send("", body, call)
            return Posted()
        return await self._posted(body, message.channel, call)

    @action(timeout=timedelta(minutes=10))
    async def ask(self, question: Question, call: Call) -> Posted:
        """Post an approval with buttons. Approvals do it by themselves, with `notify: {slack: ...}`.

        Who presses a button is told to the app's request URL: a webhook with `provider: slack`.
        """
        if len(question.token) > _MAX_VALUE:
            raise ActionRefused("invalid_input", f"token: has at most {_MAX_VALUE} characters")
        title = " ".join(question.title.split())[:_MAX_HEADER] or "Approval"
        texts = [question.details or "", "\n".join(question.lines)]
        blocks: list[dict[str, Any]] = [
            {"type": "context", "elements": [_plain(question.head)]},
            {"type": "header", "text": _plain(title)},
            *({"type": "section", "text": _plain(text)} for text in texts if text.strip()),
            {
                "type": "actions",
                "elements": [
                    _button("Approve", "hub_approve", "primary", question.token),
                    _button("Reject", "hub_reject", "danger", question.token),
                ],
            },
        ]
        # What notifications show is text in Slack's markup.
        body: dict[str, Any] = {"text": _escaped(f"{question.head}: {title}"), "blocks": blocks}
        body |= {"unfurl_links": False, "unfurl_media": False}
        if self.settings.webhook_url is not None:
            await self._send("", body, call)
            return Posted()
        return await self._posted(body, question.channel, call)

    async def _posted(self, body: dict[str, Any], channel: str | None, call: Call) -> Posted:
        channel = channel or self.settings.channel
        if channel is None:
            raise ActionRefused(
                "invalid_input",
                "channel: is required: give it here or in the connection's settings",
            )
        answer = await self._send("chat.postMessage", {**body, "channel": channel}, call)
        return Posted(channel=answer.get("channel"), ts=answer.get("ts"))

    async def _send(self, path: str, body: dict[str, Any], call: Call) -> dict[str, Any]:
        return await self._ask(path, body, call.idempotency_key)

    async def _ask(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        answer = await self._client.send(
            Ask(
                method="POST",
                url=path,
                idempotency_key=key,
                content=msgspec.json.encode(body),
                content_type="application/json; charset=utf-8",
            )
        )
        if not path:
            return {}
        said, _ = answer.value("Slack")
        if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
            raise ActionFailed("http_garbage", "Slack does not answer as it should")
        if not said["ok"]:
            # Slack says 200 to everything, and what is wrong inside.
            error = self._client.scrub(str(said.get("error", "")))[:100]
            message = f"Slack says {error!r}"
            if error in _TRANSIENT:
                raise ActionFailed("slack_unavailable", message, retry_after=answer.retry_after)
            raise ActionRefused("slack_rejected", message)
        return said


def _plain(text: str) -> dict[str, Any]:
    """A text in which nothing is markup: neither a link nor a mention of everybody."""
    return {"type": "plain_text", "text": text[:_MAX_TEXT], "emoji": False}


def _button(label: str, name: str, style: str, token: str) -> dict[str, Any]:
    return {
        "type": "button",
        "text": _plain(label),
        "action_id": name,
        "style": style,
        "value": token,
        "confirm": {
            "title": _plain(f"{label}?"),
            "text": _plain("It is recorded with your name."),
            "confirm": _plain(label),
            "deny": _plain("Not now"),
        },
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
