"""teams: post messages to a Microsoft Teams channel or chat, through a workflow's webhook.

    connections:
      office:
        teams: {webhook_url: "${{ env.TEAMS_WEBHOOK }}"}

Source: Microsoft Teams documentation, "Create incoming webhooks with Workflows"; Adaptive Cards 1.4.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from connectors.http.client import Ask, Client, host_of
from connectors.http.settings import Settings as HttpSettings
from connectors.http.settings import check_url
from hub.connector import Call, Connector, action
from hub.errors import ActionRefused

__all__ = ["Link", "Message", "Posted", "Settings", "Teams"]

_MAX_BYTES = 28 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that the `Workflows` app has made for a channel or chat."""

    webhook_url: Annotated[str, Meta(description="The webhook's URL")]
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one message, in seconds")
    ] = 20.0

    def __post_init__(self) -> None:
        check_url("webhook_url", self.webhook_url)


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button that opens a page."""

    title: Annotated[str, Meta(min_length=1, description="What stands on it")]
    url: Annotated[str, Meta(pattern="^https?://", description="What it opens")]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message: `text` with a title and links, or a `card` of your own."""

    text: Annotated[str | None, Meta(description="Text in the Markdown of Adaptive Cards")] = None
    title: Annotated[str | None, Meta(description="Title above it")] = None
    links: Annotated[list[Link], Meta(description="Buttons below it")] = []
    card: Annotated[
        dict[str, Any] | None, Meta(description="A whole Adaptive Card instead of all that")
    ] = None


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """The message was taken. Teams does not say where it is."""

    status: Annotated[int, Meta(description="The webhook's status: 200, or 202 as it posts later")]


class Teams(Connector):
    """Posts to Microsoft Teams."""

    name: ClassVar[str] = "teams"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        http = HttpSettings(
            base_url=settings.webhook_url, timeout=settings.timeout, idempotency_header=None
        )
        self._client = Client(http, project, [settings.webhook_url])

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def address(self) -> str:
        """Whose webhook it is: the rest of its URL is a secret."""
        return host_of(self.settings.webhook_url)

    @action(timeout=timedelta(minutes=10))
    async def post(self, message: Message, call: Call) -> Posted:
        """Post a message.

        Teams has no way to recognise a repeated message: one whose answer was lost is posted again.
        """
        if (message.card is None) == (message.text is None):
            raise ActionRefused("invalid_input", "text: either it or `card` is required")
        card = _card(message) if message.card is None else message.card
        kind = "application/vnd.microsoft.card.adaptive"
        content = msgspec.json.encode(
            {"type": "message", "attachments": [{"contentType": kind, "content": card}]}
        )
        if len(content) > _MAX_BYTES:
            raise ActionRefused(
                "too_large",
                f"the message has {len(content):,} bytes; Teams takes at most {_MAX_BYTES:,}",
            )
        answer = await self._client.send(
            Ask(
                method="POST",
                url="",
                idempotency_key=call.idempotency_key,
                content=content,
                content_type="application/json",
            )
        )
        return Posted(status=answer.status)


def _card(message: Message) -> dict[str, Any]:
    title = {"type": "TextBlock", "text": message.title, "weight": "bolder", "size": "medium"}
    text = {"type": "TextBlock", "text": message.text, "wrap": True}
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [text] if message.title is None else [{**title, "wrap": True}, text],
        "actions": [
            {"type": "Action.OpenUrl", "title": link.title, "url": link.url}
            for link in message.links
        ],
    }
