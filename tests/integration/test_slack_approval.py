"""An approval in Slack: posted with buttons, decided by whoever presses them, and by nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from slack_sdk.signature import SignatureVerifier

from hub.connections import Connections
from hub.event import Event
from hub.links import ButtonClaims, Links
from hub.run import Delivery, RunState, Start
from hub.temporal.approvals import TemporalApprovals
from hub.temporal.client import TemporalRuns
from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from hub.temporal.worker import make_worker
from hub.tree import load_tree
from hub.trigger import Request
from tests.http_peer import Peer, http_peer
from tests.unit.api_home import Home, open_home
from triggers.webhook import Webhook

HOUR = timedelta(hours=1)
SECRET = "the signing secret of the app"
TREE = load_tree("""
tree: deploy
events:
  asked: {webhook: app, where: event.type == "asked", key: event.data.id}
start: asked
do:
  - approval:
      title: "Deploy <!channel> to production"
      details: All tests are green.
      from: [ada@x.org, bob@x.org, eve@x.org]
      exclude: eve@x.org
      quorum: 2
      notify: {mail: false, slack: {channel: "#deploys"}}
  - delay: 1h
""")


@dataclass
class Story:
    """A hub whose Slack is a server of ours."""

    home: Home
    slack: Peer
    runs: TemporalRuns

    async def start(self, key: str) -> dict[str, Any]:
        """Start a run; the message that Slack is asked to post."""
        before = len(self.slack.received)
        data = {"id": key}
        event = Event(id=key, source="/t", type="asked", data=data)
        await self.runs.start(
            Start(
                run_id=f"deploy/{key}",
                tree="deploy",
                key=key,
                hash=TREE.hash,
                document=TREE.document,
                delivery=Delivery(event=event, trigger="app"),
            )
        )
        while len(self.slack.received) == before:
            await asyncio.sleep(0.02)
        posted: dict[str, Any] = self.slack.last.json
        return posted

    async def press(
        self, token: str, member: str, button: str = "hub_approve", *, secret: str = SECRET
    ) -> httpx.Response:
        payload = {
            "type": "block_actions",
            "team": {"id": "T1"},
            "user": {"id": member, "username": "ada", "team_id": "T1"},
            "channel": {"id": "C1"},
            "trigger_id": f"{member}.{time.time_ns()}",
            "response_url": f"{self.slack.url}/actions/1",
            "message": {"blocks": [{"type": "header"}, {"type": "actions"}]},
            "actions": [{"action_id": button, "value": token, "action_ts": "1772366399.8"}],
        }
        body = urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()
        at = str(int(time.time()))
        signature = SignatureVerifier(secret).generate_signature(timestamp=at, body=body)
        assert signature is not None
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-signature": signature,
            "x-slack-request-timestamp": at,
        }
        return await self.home.client.post("/hooks/slack", content=body, headers=headers)

    async def told(self, count: int) -> dict[str, Any]:
        """What the person of the press of that number was told."""
        while len(replies := [r for r in self.slack.received if r.path == "/actions/1"]) < count:
            await asyncio.sleep(0.02)
        reply: dict[str, Any] = replies[count - 1].json
        return reply

    async def state(self, key: str) -> RunState:
        return await self.runs.show(f"deploy/{key}")


@pytest.fixture
async def story(server: DevServer, tmp_path: Path) -> AsyncIterator[Story]:
    client = await connect(server.address)
    runs = TemporalRuns(client, task_queue=f"slack-{tmp_path.name}")
    async with (
        http_peer(lambda _: {"ok": True, "channel": "C1", "ts": "1.2"}) as slack,
        open_home(tmp_path, approvals=TemporalApprovals(client)) as home,
    ):
        settings, faults = Webhook.read_settings(
            {
                "provider": "slack",
                "secret": SECRET,
                "team": "T1",
                "people": {"U1": "Ada@x.org", "U2": "bob@x.org", "U3": "eve@x.org"},
                "reply_url": f"{slack.url}/actions/",
            },
            "",
        )
        assert settings is not None, faults
        home.project.triggers = {"slack": Webhook("slack", settings)}
        account = {"team": {"slack": {"token": "xoxb-1", "api_url": f"{slack.url}/api"}}}
        connections = Connections(tmp_path, account, {})
        worker = make_worker(
            client,
            connections=lambda: connections,
            links=Links([b"k" * 32], "http://localhost"),
            task_queue=f"slack-{tmp_path.name}",
        )
        async with worker:
            yield Story(home, slack, runs)
        await connections.close()


async def test_the_story(story: Story) -> None:
    posted = await story.start("d1")
    assert posted["channel"] == "#deploys"
    assert posted["text"] == "Approval is asked for: Deploy &lt;!channel&gt; to production"
    texts = [block["text"] for block in posted["blocks"] if "text" in block]
    assert {text["type"] for text in texts} == {"plain_text"}
    assert "Asked: ada@x.org, bob@x.org" in texts[-1]["text"]
    approve, reject = posted["blocks"][-1]["elements"]
    token = approve["value"]
    assert (reject["value"], "confirm" in reject) == (token, True)

    # Whom the hub does not know, whom it excludes, and whoever is not Slack.
    assert (await story.press(token, "U9")).status_code == 200
    assert "does not know who Slack's U9 is" in (await story.told(1))["text"]
    assert (await story.press(token, "U3")).status_code == 200
    assert "excluded" in (await story.told(2))["text"]
    assert (await story.press(token, "U1", secret="another")).status_code == 401
    forged = token[:-4] + "AAAA"
    assert (await story.press(forged, "U1")).status_code == 403
    claims = ButtonClaims(
        run_id="deploy/d1", path="do[0]", approval="x", expires_at=datetime.now(UTC) + HOUR
    )
    foreign = Links([b"o" * 32], "http://localhost").sign_buttons(claims, datetime.now(UTC))
    assert (await story.press(foreign, "U1")).status_code == 403
    assert (await story.state("d1")).nodes["do[0]"].result["by"] == []

    assert (await story.press(token, "U1")).status_code == 200
    first = await story.told(3)
    assert first["text"] == "ada@x.org has approved it. 1 of 2 approvals are there."
    assert (first["response_type"], first["replace_original"]) == ("ephemeral", False)
    assert (await story.press(token, "U1")).status_code == 200, "pressed twice it counts once"
    assert (await story.told(4))["text"] == first["text"]
    assert (await story.press(token, "U1", "hub_reject")).status_code == 200
    assert "already decided" in (await story.told(5))["text"]
    assert (await story.press(token, "U2")).status_code == 200
    last = await story.told(6)
    assert last["text"] == "bob@x.org has approved it. With that it is approved."
    assert last["replace_original"] is True
    assert [block["type"] for block in last["blocks"]] == ["header", "section"], "without buttons"

    result = (await story.state("d1")).nodes["do[0]"].result
    assert [(one["who"], one["how"]) for one in result["by"]] == [
        ("ada@x.org", "slack"),
        ("bob@x.org", "slack"),
    ]
    assert (result["posts"], result["mails"], result["unsent"]) == (1, 0, [])
    noted = (await story.home.journal.audit.list(action="approval")).items
    assert [(one.who, one.how, one.outcome) for one in reversed(noted)] == [
        ("Slack's U9", "chat", "refused"),
        ("eve@x.org", "chat", "refused"),
        ("Ada@x.org", "chat", "done"),
        ("Ada@x.org", "chat", "done"),
        ("Ada@x.org", "chat", "refused"),
        ("bob@x.org", "chat", "done"),
    ]
    # A press that was refused as none of ours has left nothing.
    assert len(await story.home.journaled()) == 6


async def test_the_run_does_not_answer(story: Story) -> None:
    token = (await story.start("d2"))["blocks"][-1]["elements"][0]["value"]
    await story.runs.terminate("deploy/d2", "a test")
    assert (await story.press(token, "U1")).status_code == 200
    assert "has ended" in (await story.told(1))["text"]


async def test_nowhere_else_is_replied_to(story: Story) -> None:
    token = (await story.start("d3"))["blocks"][-1]["elements"][0]["value"]
    trigger = story.home.project.triggers["slack"]
    assert isinstance(trigger, Webhook)
    for url in ("http://169.254.169.254/latest", f"{story.slack.url}/elsewhere", 7, None):
        received = await trigger.receive(_press_that_replies_to(token, url))
        await trigger.reply(received.said[0], "text", is_over=False)
    assert {request.path for request in story.slack.received} == {"/api/chat.postMessage"}


def _press_that_replies_to(token: str, url: Any) -> Request:
    payload = {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "U1"},
        "response_url": url,
        "actions": [{"action_id": "hub_approve", "value": token}],
    }
    body = urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()
    at = str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=at, body=body)
    return Request(
        method="POST",
        path="/hooks/slack",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-signature": str(signature),
            "x-slack-request-timestamp": at,
        },
        query={},
        body=body,
        received_at=datetime.now(UTC),
    )
