"""discord: post messages to a channel, through its webhook.

    connections:
      community:
        discord: {webhook_url: "${{ env.DISCORD_WEBHOOK }}"}

Source: Discord's developer documentation, "Execute Webhook", "Rate Limits".
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
from hub.errors import ActionFailed, ActionRefused

__all__ = ["Discord", "Message", "Posted", "Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of a channel."""

    webhook_url: Annotated[str, Meta(description="The webhook's URL")]
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one message, in seconds")
    ] = 20.0

    def __post_init__(self) -> None:
        check_url("webhook_url", self.webhook_url)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message: `text`, `embeds`, or both."""

    text: Annotated[
        Annotated[str, Meta(max_length=2000)] | None,
        Meta(description="Text in Discord's Markdown, at most 2,000 characters"),
    ] = None
    embeds: Annotated[
        Annotated[list[dict[str, Any]], Meta(max_length=10)],
        Meta(description="Embeds, as Discord has them, at most 10"),
    ] = []
    username: Annotated[
        str | None, Meta(description="Name to post under, if not the webhook's")
    ] = None
    mentions: Annotated[
        bool, Meta(description="Let `@everyone`, roles and users in the text be notified")
    ] = False


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """The message as it stands there."""

    id: Annotated[str, Meta(description="Id of the message")]
    channel: Annotated[str | None, Meta(description="Id of its channel")] = None


class Discord(Connector):
    """Posts to Discord."""

    name: ClassVar[str] = "discord"
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

    async def check(self) -> str:
        """Ask the webhook for its own description, which posts nothing."""
        return await self._client.check("GET", "")

    @action(timeout=timedelta(minutes=10))
    async def post(self, message: Message, call: Call) -> Posted:
        """Post a message. Nobody is notified by what stands in it unless `mentions` says so.

        Discord has no way to recognise a repeated message: one whose answer was lost is posted
        again.
        """
        if not message.text and not message.embeds:
            raise ActionRefused("invalid_input", "text: is required, or `embeds`")
        body: dict[str, Any] = {}
        if not message.mentions:
            body["allowed_mentions"] = {"parse": []}
        if message.text:
            body["content"] = message.text
        if message.embeds:
            body["embeds"] = message.embeds
        if message.username is not None:
            body["username"] = message.username
        answer = await self._client.send(
            Ask(
                method="POST",
                url="",
                query={"wait": "true"},
                idempotency_key=call.idempotency_key,
                content=msgspec.json.encode(body),
                content_type="application/json",
            )
        )
        said, _ = answer.value("Discord")
        if not isinstance(said, dict) or "id" not in said:
            raise ActionFailed("http_garbage", "Discord does not answer as it should")
        channel = said.get("channel_id")
        return Posted(id=str(said["id"]), channel=None if channel is None else str(channel))
