"""slack, teams and discord, each against a server that answers as theirs does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.discord import Discord
from connectors.slack import Slack
from connectors.teams import Teams
from hub.connections import Connections
from hub.connector import Connector
from hub.errors import ActionFailed, ActionRefused
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall
from tests.http_peer import Peer, Received, answer, http_peer

SECRET = "${{ env.PLANTED }}"
HOOK = f"/hooks/{PLANTED}"


async def post(
    project: Path, kind: str, settings: dict[str, Any], arguments: dict[str, Any]
) -> dict[str, Any]:
    connections = Connections(project, {"it": {kind: settings}}, {"PLANTED": PLANTED})
    try:
        call = GivenCall(project)
        result: dict[str, Any] = await connections.run(f"{kind}.post", arguments, call)
        return result
    finally:
        await connections.close()


def hook(peer: Peer) -> str:
    return f"{peer.url}/hooks/{SECRET}?sig=a%2Bb"


# -- slack --------------------------------------------------------------------------------


async def test_a_bot_posts_to_slack(tmp_path: Path) -> None:
    said = {"ok": True, "channel": "C1", "ts": "1700000000.000100"}
    async with http_peer(lambda _: said) as peer:
        settings = {"token": SECRET, "channel": "#a", "api_url": f"{peer.url}/api"}
        got = await post(tmp_path, "slack", settings, {"text": "Hi", "thread": "1.2"})
    assert got == {"channel": "C1", "ts": "1700000000.000100"}
    assert peer.last.path == "/api/chat.postMessage"
    assert peer.last.headers["authorization"] == f"Bearer {PLANTED}"
    sent = peer.last.json
    assert (sent["channel"], sent["text"], sent["thread_ts"]) == ("#a", "Hi", "1.2")


async def test_a_webhook_posts_to_slack(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(200, "ok", content_type="text/html")) as peer:
        got = await post(
            tmp_path, "slack", {"webhook_url": hook(peer)}, {"blocks": [{"type": "x"}]}
        )
    assert got == {"channel": None, "ts": None}
    assert peer.last.target == f"{HOOK}?sig=a%2Bb"
    assert peer.last.json["blocks"] == [{"type": "x"}]


async def test_a_question_has_buttons_and_no_markup(tmp_path: Path) -> None:
    async with http_peer(lambda _: {"ok": True, "channel": "C1", "ts": "1.2"}) as peer:
        settings = {"token": SECRET, "channel": "#a", "api_url": f"{peer.url}/api"}
        connections = Connections(tmp_path, {"it": {"slack": settings}}, {"PLANTED": PLANTED})
        asked = {"title": "a <@U1>", "details": "d" * 5000, "lines": ["*b*"], "token": "t"}
        await connections.run("slack.ask", asked, GivenCall(tmp_path))
        with pytest.raises(ActionRefused, match="token: has at most 2000"):
            await connections.run("slack.ask", asked | {"token": "t" * 2001}, GivenCall(tmp_path))
        await connections.close()
    sent = peer.last.json
    assert sent["text"] == "Approval is asked for: a &lt;@U1&gt;"
    kinds = [block["type"] for block in sent["blocks"]]
    assert kinds == ["context", "header", "section", "section", "actions"]
    texts = [block["text"] for block in sent["blocks"] if "text" in block]
    assert {text["type"] for text in texts} == {"plain_text"}
    assert max(len(text["text"]) for text in texts) == 3000
    assert [one["value"] for one in sent["blocks"][-1]["elements"]] == ["t", "t"]


@pytest.mark.parametrize(
    ("error", "retryable", "wait"), [("ratelimited", True, 3.0), ("channel_not_found", False, None)]
)
async def test_slack_says_in_its_answer_what_is_wrong(
    tmp_path: Path, error: str, retryable: bool, wait: float | None
) -> None:
    async with http_peer(
        lambda _: answer(200, {"ok": False, "error": error}, retry_after="3")
    ) as p:
        settings = {"token": SECRET, "channel": "C1", "api_url": p.url}
        with pytest.raises(ActionFailed) as caught:
            await post(tmp_path, "slack", settings, {"text": "Hi"})
    assert (caught.value.retryable, caught.value.retry_after) == (retryable, wait)
    assert error in caught.value.message


@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        ("slack", {}, "text"),
        ("slack", {"text": "a", "channel": "C1"}, "channel"),
        ("discord", {}, "text"),
        ("discord", {"text": "x" * 2001}, "text"),
        ("teams", {}, "text"),
        ("teams", {"text": "a", "card": {}}, "text"),
        ("teams", {"text": "a", "links": [{"title": "x", "url": "javascript:alert(1)"}]}, "links"),
    ],
)
async def test_what_is_no_message_is_refused(
    tmp_path: Path, kind: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(ActionRefused) as caught:
        await post(tmp_path, kind, {"webhook_url": "https://example.com/hook"}, arguments)
    assert caught.value.failure == "invalid_input"
    assert field in caught.value.message


# -- discord and teams --------------------------------------------------------------------


async def test_discord_notifies_nobody_unless_told(tmp_path: Path) -> None:
    async with http_peer(lambda _: {"id": "123", "channel_id": "4"}) as peer:
        settings = {"webhook_url": hook(peer)}
        got = await post(tmp_path, "discord", settings, {"text": "@everyone", "username": "Hub"})
        assert got == {"id": "123", "channel": "4"}
        assert peer.last.query == {"sig": ["a+b"], "wait": ["true"]}
        assert peer.last.json == {
            "content": "@everyone",
            "username": "Hub",
            "allowed_mentions": {"parse": []},
        }
        await post(tmp_path, "discord", settings, {"text": "@everyone", "mentions": True})
        assert "allowed_mentions" not in peer.last.json


async def test_teams_gets_a_card(tmp_path: Path) -> None:
    async with http_peer(lambda _: answer(202)) as peer:
        settings = {"webhook_url": hook(peer)}
        message = {
            "title": "T",
            "text": "Hi",
            "links": [{"title": "Run", "url": "https://x.example"}],
        }
        assert await post(tmp_path, "teams", settings, message) == {"status": 202}
        (attached,) = peer.last.json["attachments"]
        assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert [block["text"] for block in attached["content"]["body"]] == ["T", "Hi"]
        assert attached["content"]["actions"][0]["url"] == "https://x.example"
        await post(tmp_path, "teams", settings, {"card": {"type": "AdaptiveCard"}})
        assert peer.last.json["attachments"][0]["content"] == {"type": "AdaptiveCard"}
        with pytest.raises(ActionRefused) as caught:
            await post(tmp_path, "teams", settings, {"text": "x" * 30_000})
    assert caught.value.failure == "too_large"


# -- what every connector promises --------------------------------------------------------


def failing(request: Received) -> Any:
    """A server that fails as the first part of the path says, and gives the secret away."""
    given = request.target + request.headers.get("authorization", "")
    match request.path.split("/")[1]:
        case "silent":
            return None
        case "garbage":
            return b"garbage " + given.encode()
        case "away":
            return answer(307, location=f"http://169.254.169.254/{given}")
        case "odd":
            return answer(200, {"said": given})
        case status:
            return answer(int(status), {"message": f"no {given}"}, retry_after="1")


FAILURES = (
    ("400", "http_400", False),
    ("403", "http_403", True),
    ("404", "http_404", False),
    ("429", "http_429", True),
    ("500", "http_500", True),
    ("away", "http_redirect", False),
    ("garbage", "http_protocol", True),
    ("silent", "http_timeout", True),
    ("odd", "http_garbage", True),
)


def failing_calls_of(kind: str, settings: Callable[[str], dict[str, Any]]) -> list[FailingCall]:
    return [
        FailingCall(
            action=f"{kind}.post",
            settings={**settings(way), "timeout": 0.05 if way == "silent" else 20},
            arguments={"text": "Hi"},
            failure=failure,
            retryable=retryable,
        )
        for way, failure, retryable in FAILURES
    ]


class TestSlack(ConnectorContract):
    kind: ClassVar[type[Connector]] = Slack
    settings: ClassVar[Mapping[str, Any]] = {"token": "xoxb-token", "channel": "C1"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "slack.post": {"text": "Hi"},
        "slack.ask": {"title": "Deploy", "token": "t"},
    }

    @pytest.fixture
    async def failing_calls(self) -> AsyncIterator[Sequence[FailingCall]]:
        async with http_peer(failing) as peer:
            token = {"token": SECRET, "channel": "C1"}
            bot = failing_calls_of("slack", lambda way: {**token, "api_url": f"{peer.url}/{way}"})
            hooks = failing_calls_of(
                "slack", lambda way: {"webhook_url": f"{peer.url}/{way}/{SECRET}"}
            )
            # What a webhook says beside its status is of no interest.
            yield bot + [call for call in hooks if call.failure != "http_garbage"]


class TestDiscord(ConnectorContract):
    kind: ClassVar[type[Connector]] = Discord
    settings: ClassVar[Mapping[str, Any]] = {"webhook_url": "https://example.com/hook"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {"discord.post": {"text": "Hi"}}

    @pytest.fixture
    async def failing_calls(self) -> AsyncIterator[Sequence[FailingCall]]:
        async with http_peer(failing) as peer:
            yield failing_calls_of(
                "discord", lambda way: {"webhook_url": f"{peer.url}/{way}/{SECRET}"}
            )


class TestTeams(ConnectorContract):
    kind: ClassVar[type[Connector]] = Teams
    settings: ClassVar[Mapping[str, Any]] = {"webhook_url": "https://example.com/hook"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {"teams.post": {"text": "Hi"}}

    @pytest.fixture
    async def failing_calls(self) -> AsyncIterator[Sequence[FailingCall]]:
        async with http_peer(failing) as peer:
            calls = failing_calls_of(
                "teams", lambda way: {"webhook_url": f"{peer.url}/{way}/{SECRET}"}
            )
            yield [call for call in calls if call.failure != "http_garbage"]
