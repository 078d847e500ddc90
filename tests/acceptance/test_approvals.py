"""The approval story from outside: mails with links in the inbox of `hub dev`, and the command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.hub_process import ROOT, HubProcess

PEOPLE = ["ada@example.com", "bob@example.com"]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".hub", ".env"))
    return folder


def request(hub: HubProcess, number: str) -> str:
    data = {"id": number, "service": "shop", "version": "2.4", "requester": "cleo@example.com"}
    event = {"id": f"evt-{number}", "type": "deploy.requested", "data": data}
    assert hub.post("/hooks/app", event).status_code == 202
    run = f"deploy-approval/{number}"
    hub.until(lambda: hub.run(run).get("waiting_for") == ["approval"], "the approval")
    return run


def mails_to(hub: HubProcess, who: str, subject: str = "") -> list[dict[str, Any]]:
    return [m for m in hub.mails() if m["to"] == [who] and m["subject"].startswith(subject)]


def link_of(hub: HubProcess, who: str) -> str:
    hub.until(lambda: mails_to(hub, who), f"the mail to {who}")
    (link,) = mails_to(hub, who)[0]["links"]
    return str(link)


def press(link: str, decision: str, **fields: str) -> httpx.Response:
    return httpx.post(link, data={"decision": decision, **fields}, trust_env=False)


def test_the_story_by_mail_links(examples: Path) -> None:
    with HubProcess(examples) as hub:
        run = request(hub, "d-1")
        link = link_of(hub, PEOPLE[0])
        assert not mails_to(hub, "cleo@example.com")

        # A scanner's looks change nothing.
        assert httpx.head(link, trust_env=False).status_code == 200
        page = httpx.get(link, trust_env=False)
        assert page.status_code == 200
        assert "You decide as <strong>ada@example.com</strong>" in page.text
        assert "Deploy shop 2.4" in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert hub.run(run)["nodes"]["do[0].try[0]"]["result"]["by"] == []
        assert httpx.get(link[:-3], trust_env=False).status_code == 404

        wrong = press(link, "approve", **{"field.window": "never"})
        assert (wrong.status_code, "is one of now, tonight" in wrong.text) == (400, True)
        said = press(link, "approve", comment="green <b>", **{"field.window": "tonight"})
        assert (said.status_code, "1 of 2 approvals" in said.text) == (200, True)
        assert press(link, "approve").status_code == 200, "pressed twice it is one decision"
        assert press(link, "reject").status_code == 409
        assert "green &lt;b&gt;" in httpx.get(link_of(hub, PEOPLE[1]), trust_env=False).text

        hub.hub("runs", "forward", run, "5h")
        hub.until(lambda: mails_to(hub, PEOPLE[1], "Reminder"), "the reminder")
        assert not mails_to(hub, PEOPLE[0], "Reminder")
        shown = hub.hub("runs", "show", run)
        assert "1 of 2 approvals; approved by ada@example.com (link)" in " ".join(shown.split())
        assert "reminded 1 times" in " ".join(shown.split())

        hub.hub("runs", "forward", run, "20h")
        # One is enough from then on, and one has approved, so nobody else is bothered.
        hub.until(lambda: hub.run(run)["status"] == "succeeded", "the end")
        assert not mails_to(hub, "dora@example.com")
        assert "escalated to dora@example.com" in " ".join(hub.hub("runs", "show", run).split())
        (mail,) = mails_to(hub, "deployer@example.com")
        assert mail["subject"] == "Deploy shop 2.4"
        late = press(link_of(hub, PEOPLE[1]), "approve")
        assert (late.status_code, "has ended" in late.text) == (404, True)


def test_a_veto_and_the_command(examples: Path) -> None:
    with HubProcess(examples) as hub:
        run = request(hub, "d-2")
        hub.until(lambda: hub.json("approvals", "list")["items"], "the list")
        (item,) = hub.json("approvals", "list", "--person", "Bob@example.com")["items"]
        assert (item["run_id"], item["waiting_on"]) == (run, PEOPLE)
        assert hub.json("approvals", "list", "--person", "cleo@example.com")["items"] == []
        assert "Deploy shop 2.4" in hub.hub("approvals", "show", item["id"])
        refused = hub.hub("approvals", "approve", run, "--as", "cleo@example.com", code=1)
        assert "excluded" in refused
        hub.hub("approvals", "approve", run, code=2)
        answer = hub.json("approvals", "approve", run, "--as", PEOPLE[0])
        assert (answer["outcome"], answer["approvals"]) == ("pending", 1)
        eve = "eve@example.com"
        passed = hub.hub("approvals", "delegate", run, "--to", eve, "--as", PEOPLE[1])
        assert f"{eve} decides instead of {PEOPLE[1]}" in passed
        assert press(link_of(hub, PEOPLE[1]), "approve").status_code == 403
        assert mails_to(hub, eve, "Passed on to you") or link_of(hub, eve)
        no = "approvals", "reject", run, "--as", eve, "--comment", "not on a Friday"
        assert "rejected" in hub.hub(*no)
        hub.until(lambda: hub.run(run)["status"] == "failed", "the end")
        shown = " ".join(hub.hub("runs", "show", run).split())
        assert "rejected by eve@example.com (cli)" in shown
        assert "passed on by bob@example.com to eve@example.com" in shown
        over = f"{hub.url}/api/approvals?status=decided&person={eve}"
        hub.until(lambda: httpx.get(over, trust_env=False).json()["items"], "what was decided")
        (one,) = hub.json("approvals", "list", "--decided", "--person", eve)["items"]
        assert (one["id"], one["decision"], one["waiting_on"]) == (item["id"], "rejected", [])
        said = [(by["who"], by["decision"], by["comment"]) for by in one["by"]]
        assert said == [(PEOPLE[0], "approve", None), (eve, "reject", "not on a Friday")]
        assert [(by["who"], by["to"]) for by in one["delegations"]] == [(PEOPLE[1], eve)]
        noted = httpx.get(f"{hub.url}/api/audit?action=approval", trust_env=False).json()["items"]
        assert [(one["action"], one["outcome"]) for one in noted] == [
            ("approval.reject", "done"),
            ("approval.approve", "refused"),
            ("approval.delegate", "done"),
            ("approval.approve", "done"),
            ("approval.approve", "refused"),
        ]
        (mail,) = mails_to(hub, "cleo@example.com")
        assert mail["subject"] == "Not deployed: shop 2.4"
        decided = httpx.get(f"{hub.url}/api/approvals/{item['id']}", trust_env=False).json()
        assert (decided["decision"], decided["waiting_on"]) == ("rejected", [])
