from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from slack_sdk.signature import SignatureVerifier

from hub.errors import BadRequest, BadSignature, Forbidden, UnsupportedType
from hub.trigger import HttpTrigger, Received
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.payloads import payload
from triggers.webhook import PROVIDERS, Settings, Webhook
from triggers.webhook.providers.slack import SlackSettings

FORM = {"content-type": "application/x-www-form-urlencoded"}


class TestSlack(HttpTriggerContract):
    """Signed by Slack's own library."""

    signs_time = True

    def trigger(self, *secrets: str) -> HttpTrigger:
        return Webhook("slack", Settings(provider="slack", secret=list(secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        time = str(int(at.timestamp()))
        try:
            signature = SignatureVerifier(secret).generate_signature(timestamp=time, body=body)
        except UnicodeDecodeError:  # which Slack would not send either
            signed = f"v0:{time}:".encode() + body
            signature = "v0=" + hmac.new(secret.encode(), signed, "sha256").hexdigest()
        assert signature is not None
        return {"x-slack-signature": signature, "x-slack-request-timestamp": time}

    def proof(self) -> list[str]:
        return ["x-slack-signature", "x-slack-request-timestamp"]

    def body(self, text: str = "Ada") -> bytes:
        document = payload("slack_event")
        document["event"]["text"] = text
        return msgspec.json.encode(document)

    async def send(self, body: bytes, extra: dict[str, str] | None = None) -> Received:
        headers = self.headers(body, self.secret, NOW) | (extra or {})
        return await self.trigger(self.secret).receive(self.request(body, headers))

    async def test_what_an_event_is(self) -> None:
        received = await self.send(self.body())
        (event,) = received.events
        assert event.id == "Ev08MFMKH6"
        assert event.type == "app_mention"
        assert event.subject == "C0LAN2Q65"
        assert event.time == datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC)
        assert event.data["team_id"] == "T061EG9R6"
        assert "token" not in event.data
        assert received.response is not None
        assert (received.response.status, received.response.body) == (200, b"")

    async def test_a_click(self) -> None:
        text = msgspec.json.encode(payload("slack_block_actions")).decode()
        received = await self.send(urlencode({"payload": text}).encode(), FORM)
        (event,) = received.events
        assert event.id == "12466734323.1395872398.6b0a2c1f"
        assert event.type == "block_actions"
        assert event.subject == "C0LAN2Q65"
        assert event.data["actions"][0]["value"] == "deploy-approval/d-17"
        assert "token" not in event.data
        assert event.time is not None
        assert int(event.time.timestamp()) == 1772366399
        assert received.response is not None
        assert (received.response.status, received.response.body) == (200, b"")

    def pressed(self, **changes: Any) -> bytes:
        """A press of a button that `slack.ask` has posted."""
        body = payload("slack_block_actions")
        body["actions"][0] |= {"action_id": "hub_approve", "value": "the-token"}
        text = msgspec.json.encode(body | changes).decode()
        return urlencode({"payload": text}).encode()

    async def press(self, settings: dict[str, Any], body: bytes) -> Received:
        given, faults = Webhook.read_settings(
            {"provider": "slack", "secret": self.secret, **settings}, ""
        )
        assert given is not None, faults
        trigger = Webhook("slack", given)
        headers = self.headers(body, self.secret, NOW) | FORM
        return await trigger.receive(self.request(body, headers))

    async def test_a_button_of_the_hub_says_who_decides_what(self) -> None:
        people = {"people": {"U061F7AUR": "ada@example.com"}}
        first = await self.press(people, self.pressed())
        (said,) = first.said
        assert (said.token, said.decision, said.who) == ("the-token", "approve", "ada@example.com")
        assert len(first.events) == 1
        again = await self.press(people, self.pressed(trigger_id="another"))
        assert again.said[0].id == said.id, "pressed twice it is one decision"
        reject = payload("slack_block_actions")["actions"][0] | {"action_id": "hub_reject"}
        (other,) = (await self.press(people, self.pressed(actions=[reject]))).said
        assert (other.decision, other.id == said.id) == ("reject", False)

    async def test_a_name_in_slack_makes_nobody_a_person_of_the_hub(self) -> None:
        people = {"people": {"U2": "ada@example.com", "ada": "ada@example.com"}}
        (said,) = (await self.press(people, self.pressed())).said
        assert (said.who, said.account) == (None, "Slack's U061F7AUR")

    async def test_a_button_of_another_workspace_is_refused(self) -> None:
        ours = {"team": "T061EG9R6", "people": {"U061F7AUR": "ada@example.com"}}
        assert (await self.press(ours, self.pressed())).said
        for changes in (
            {"team": {"id": "T2"}},
            {"user": {"id": "U061F7AUR", "team_id": "T2"}},
            {"team": None, "user": {"id": "U061F7AUR"}},
        ):
            with pytest.raises(Forbidden):
                await self.press(ours, self.pressed(**changes))

    async def test_other_buttons_are_events_and_nothing_else(self) -> None:
        text = msgspec.json.encode(payload("slack_block_actions")).decode()
        received = await self.send(urlencode({"payload": text}).encode(), FORM)
        assert (len(received.events), len(received.said)) == (1, 0)
        for broken in ({"actions": [{"action_id": "hub_approve"}]}, {"user": None}):
            with pytest.raises(BadRequest):
                await self.press({}, self.pressed(**broken))

    def test_who_is_nobody_is_said(self) -> None:
        settings = SlackSettings(
            provider="slack", secret="s", people={"@ada": "ada@x.org"}, reply_url="http://a.org"
        )
        assert [fault.path for fault in Webhook.check(settings)] == ["people.@ada", "reply_url"]

    async def test_a_slash_command(self) -> None:
        form = {
            "token": "old-verification-token",
            "team_id": "T061EG9R6",
            "channel_id": "C0LAN2Q65",
            "user_id": "U061F7AUR",
            "command": "/deploy",
            "text": "shop to production",
            "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        }
        received = await self.send(urlencode(form).encode(), FORM)
        (event,) = received.events
        assert event.id == "13345224609.738474920.8088930838d88f008e0"
        assert event.type == "slash_command"
        assert event.subject == "C0LAN2Q65"
        assert event.time == NOW
        assert event.data["text"] == "shop to production"
        assert "token" not in event.data

    async def test_a_closed_view_has_the_id_of_its_body(self) -> None:
        text = msgspec.json.encode({"type": "view_closed", "view": {"id": "V1"}}).decode()
        (event,) = (await self.send(urlencode({"payload": text}).encode(), FORM)).events
        assert event.id.startswith("sha256:")
        assert event.type == "view_closed"

    async def test_the_address_is_verified(self) -> None:
        challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
        body = msgspec.json.encode(
            {"token": "t", "challenge": challenge, "type": "url_verification"}
        )
        received = await self.send(body)
        assert not received.events
        assert received.response is not None
        assert received.response.status == 200
        assert received.response.body == challenge.encode()
        with pytest.raises(BadSignature):
            await self.trigger(self.secret).receive(self.request(body, {}))
        with pytest.raises(BadRequest):
            await self.send(b'{"type": "url_verification"}')

    async def test_the_certificate_is_checked(self) -> None:
        received = await self.send(b"ssl_check=1&token=x", FORM)
        assert not received.events
        assert received.response is not None
        assert received.response.status == 200

    async def test_what_is_no_request_of_slack(self) -> None:
        for body in (b"[]", b"{}", b'{"event": {}}'):
            with pytest.raises(BadRequest):
                await self.send(body)
        with pytest.raises(BadRequest):
            await self.send(b"payload=%5B%5D", FORM)
        with pytest.raises(UnsupportedType):
            await self.send(b"x", {"content-type": "text/plain"})


async def test_the_vector_of_the_docs() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    provider = PROVIDERS["slack"](SlackSettings(provider="slack", secret=secret))
    request = TestSlack().request(
        body,
        {
            "x-slack-signature": "v0="
            "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618",
        },
        received_at=datetime.fromtimestamp(1531420618, UTC),
    )
    await provider.verify(request)
