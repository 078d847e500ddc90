"""The README's tour, lived from outside with the example project; and kills under load."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.acceptance.hub_process import ROOT, HubProcess

RUN = "user-onboarding/u1"
SIGNED_UP = {
    "id": "evt-1",
    "type": "user.signed_up",
    "data": {"user_id": "u1", "email": "ada@example.com", "name": "Ada"},
}


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".hub", ".env"))
    return folder


def waits_for(hub: HubProcess, what: str) -> None:
    hub.until(lambda: hub.run(RUN).get("waiting_for") == [what], f"the run to wait for {what}")


def test_the_tour(examples: Path) -> None:
    hub = HubProcess(examples)
    with hub:
        answer = hub.post("/hooks/app", SIGNED_UP)
        assert (answer.status_code, answer.json()) == (202, {"id": "evt-1"})
        assert hub.post("/hooks/app", SIGNED_UP).json() == {"id": "evt-1", "duplicate": True}
        waits_for(hub, "verified")
        (mail,) = hub.mails()
        assert mail["to"] == ["ada@example.com"]
        assert "wait_for verification" in hub.hub("runs", "show", RUN)

        hub.kill()
        hub.until(lambda: not hub.children(), "its servers to follow it")
        hub.start()
        waits_for(hub, "verified")

        (link,) = mail["links"]
        page = hub.client.get(link)
        assert page.status_code == 200
        assert "<form" in page.text
        waits_for(hub, "verified")
        assert hub.client.post(link).status_code == 200
        waits_for(hub, "delay")

        hub.hub("runs", "forward", RUN, "7d")
        hub.until(lambda: hub.run(RUN)["status"] == "succeeded", "the end")
        assert [mail["subject"] for mail in hub.mails()] == [
            "How was your first week, Ada?",
            "Welcome, Ada: please verify your address",
        ]
        document = hub.json("runs", "show", RUN)
        assert document["nodes"]["do[1].fallback[0]"]["status"] == "succeeded"
        assert "do[1].fallback[1]" not in document["nodes"]
        explained = hub.json("events", "explain", "evt-1")
        outcomes = {
            (v["tree"], v["subscription"]): v["outcome"] for v in explained["subscriptions"]
        }
        assert outcomes["user-onboarding", "signed_up"] == "started"
        assert explained["duplicates"] == 1


def test_killed_again_and_again_while_webhooks_come(examples: Path) -> None:
    """Every event that was answered with 202 has exactly one run, and that run its one mail."""
    chance = random.Random(7)
    accepted: list[str] = []
    hub = HubProcess(examples)
    with hub:
        number = 0
        for _ in range(2):
            for _ in range(chance.randint(5, 25)):
                number += 1
                user = f"k{number}"
                event = {
                    "id": f"evt-{user}",
                    "type": "user.signed_up",
                    "data": {"user_id": user, "email": f"{user}@example.com"},
                }
                if hub.post("/hooks/app", event).status_code == 202:
                    accepted.append(user)
            # Somewhere between the 202 and the last mail.
            hub.kill()
            hub.until(lambda: not hub.children(), "its servers to follow it")
            hub.start()
        for user in accepted:
            run_id = f"user-onboarding/{user}"
            hub.until(
                lambda run_id=run_id: hub.run(run_id).get("waiting_for") == ["verified"],
                f"{run_id} to wait",
            )
        mails = [m for m in hub.mails() if not m["repeated"]]
        assert sorted(m["to"][0] for m in mails) == sorted(f"{u}@example.com" for u in accepted)
        runs = hub.json("runs", "list", "--tree", "user-onboarding", "--limit", "200")["items"]
        assert sorted(run["key"] for run in runs) == sorted(accepted)
