"""Who decides on an approval: the person who is signed in, whatever the request says."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.run.approvals import Answer, Decision
from tests.unit.api_home import Home, open_home
from tests.unit.test_api_ingress import is_problem

ID = base64.urlsafe_b64encode(msgspec.json.encode(["t/1", "do[0]", "a1"])).decode().rstrip("=")
PATH = f"/api/approvals/{ID}/decision"


@dataclass
class Decided:
    """Approvals that take every decision, and keep it."""

    decisions: list[Decision] = field(default_factory=list)

    async def decide(self, run_id: str, decision: Decision) -> Answer:
        self.decisions.append(decision)
        return Answer(
            decision=decision.decision,
            who=decision.who,
            at=datetime.now(UTC),
            outcome="approved",
            approvals=1,
            quorum=1,
        )


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path, is_development=False, approvals=Decided()) as home:
        hashed = await home.access.passwords.hash("correct horse battery")
        for name, roles in (("ada@example.com", ["approver"]), ("root@example.com", ["admin"])):
            await home.access.people.create(name, hashed, roles)  # type: ignore[arg-type]
        yield home


def decided(home: Home) -> list[str]:
    kept: Any = home.services.approvals
    return [one.who for one in kept.decisions]


@pytest.mark.parametrize("name", ["ada@example.com", "root@example.com"])
async def test_a_person_decides_as_themselves_and_as_nobody_else(home: Home, name: str) -> None:
    credentials = {"name": name, "password": "correct horse battery"}
    csrf = (await home.client.post("/api/session", json=credentials)).json()["csrf"]
    headers = {"x-csrf-token": csrf}
    for word in ("as", "who"):
        body = {"decision": "approve", word: "bob@example.com"}
        answer = await home.client.post(PATH, json=body, headers=headers)
        is_problem(answer, 403, "forbidden")
    assert decided(home) == []
    for body in ({}, {"as": name.upper()}):
        body = {"decision": "approve", **body}
        assert (await home.client.post(PATH, json=body, headers=headers)).status_code == 200
    assert decided(home) == [name, name]
    entry = (await home.access.audit.list(action="approval", outcome="done")).items[0]
    assert (entry.who, entry.how, entry.object) == (name, "session", "t/1 do[0]")
    assert (entry.action, entry.after["for"]) == ("approval.approve", name)


async def test_a_token_decides_on_behalf_of_others_where_it_was_made_to(home: Home) -> None:
    make = home.access.tokens.create
    bot = await make("bot", ["approver"], created_by="root", on_behalf=True)
    plain = await make("plain", ["admin"], created_by="root")
    own = await make("own", ["approver"], created_by="ada", owner="ada@example.com")
    for_bob = {"decision": "reject", "as": "bob@example.com"}
    for given in (plain, own):
        headers = {"authorization": f"Bearer {given.token}"}
        is_problem(await home.client.post(PATH, json=for_bob, headers=headers), 403, "forbidden")
    headers = {"authorization": f"Bearer {own.token}"}
    answer = await home.client.post(PATH, json={"decision": "approve"}, headers=headers)
    assert answer.json()["who"] == "ada@example.com"
    headers = {"authorization": f"Bearer {bot.token}"}
    is_problem(
        await home.client.post(PATH, json={"decision": "approve"}, headers=headers),
        400,
        "bad_request",
    )
    answer = await home.client.post(PATH, json=for_bob, headers=headers)
    assert answer.json()["who"] == "bob@example.com"
    entry = (await home.access.audit.list(action="approval", outcome="done")).items[0]
    assert (entry.who, entry.how, entry.credential) == ("bot", "token", bot.info.prefix)
    assert entry.after["for"] == "bob@example.com"
