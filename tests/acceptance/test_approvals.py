"""The approval story from outside: mails with links in the inbox of `hub dev`, and the command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.hub_process import ROOT, HubProcess

PEOPLE = ["ada@example.com", "bob@example.com"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for both: each looks at its own run, and at the mails of that run."""
    folder = tmp_path_factory.mktemp("approvals") / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".hub", ".env"))
    with HubProcess(folder) as hub:
        yield hub


def request(hub: HubProcess, number: str, service: str) -> str:
    data = {"id": number, "service": service, "version": "2.4", "requester": "cleo@example.com"}
    event = {"id": f"evt-{number}", "type": "deploy.requested", "data": data}
    assert hub.post("/hooks/app", event).status_code == 202
    run = f"deploy-approval/{number}"
    hub.until(lambda: hub.run(run).get("waiting_for") == ["approval"], "the approval")
    return run


def mails_to(hub: HubProcess, service: str, who: str, subject: str = "") -> list[dict[str, Any]]:
    return [
        mail
        for mail in hub.mails()
        if mail["to"] == [who]
        and mail["subject"].startswith(subject)
        and service in mail["subject"] + mail["text"]
    ]


def link_of(hub: HubProcess, service: str, who: str) -> str:
    hub.until(lambda: mails_to(hub, service, who), f"the mail to {who}")
    (link,) = mails_to(hub, service, who)[0]["links"]
    return str(link)


def press(hub: HubProcess, link: str, decision: str, **fields: str) -> httpx.Response:
    return hub.client.post(link, data={"decision": decision, **fields})


def test_the_story_by_mail_links(hub: HubProcess) -> None:
    run = request(hub, "d-1", "shop")
    link = link_of(hub, "shop", PEOPLE[0])
    assert not mails_to(hub, "shop", "cleo@example.com")

    # A scanner's looks change nothing.
    assert hub.client.head(link).status_code == 200
    page = hub.client.get(link)
    assert page.status_code == 200
    assert "You decide as <strong>ada@example.com</strong>" in page.text
    assert "Deploy shop 2.4" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert hub.run(run)["nodes"]["do[0].try[0]"]["result"]["by"] == []
    assert hub.client.get(link[:-3]).status_code == 404

    wrong = press(hub, link, "approve", **{"field.window": "never"})
    assert (wrong.status_code, "is one of now, tonight" in wrong.text) == (400, True)
    said = press(hub, link, "approve", comment="green <b>", **{"field.window": "tonight"})
    assert (said.status_code, "1 of 2 approvals" in said.text) == (200, True)
    assert press(hub, link, "approve").status_code == 200, "pressed twice it is one decision"
    assert press(hub, link, "reject").status_code == 409
    assert "green &lt;b&gt;" in hub.client.get(link_of(hub, "shop", PEOPLE[1])).text

    hub.hub("runs", "forward", run, "5h")
    hub.until(lambda: mails_to(hub, "shop", PEOPLE[1], "Reminder"), "the reminder")
    assert not mails_to(hub, "shop", PEOPLE[0], "Reminder")
    shown = hub.hub("runs", "show", run)
    assert "1 of 2 approvals; approved by ada@example.com (link)" in " ".join(shown.split())
    assert "reminded 1 times" in " ".join(shown.split())

    hub.hub("runs", "forward", run, "20h")
    # One is enough from then on, and one has approved, so nobody else is bothered.
    hub.until(lambda: hub.run(run)["status"] == "succeeded", "the end")
    assert not mails_to(hub, "shop", "dora@example.com")
    assert "escalated to dora@example.com" in " ".join(hub.hub("runs", "show", run).split())
    (mail,) = mails_to(hub, "shop", "deployer@example.com")
    assert mail["subject"] == "Deploy shop 2.4"
    late = press(hub, link_of(hub, "shop", PEOPLE[1]), "approve")
    assert (late.status_code, "has ended" in late.text) == (404, True)


def test_a_veto_and_the_command(hub: HubProcess) -> None:
    run = request(hub, "d-2", "cart")
    hub.until(
        lambda: [one["run_id"] for one in hub.get("/api/approvals")["items"]] == [run], "the list"
    )
    (item,) = hub.json("approvals", "list", "--person", "Bob@example.com")["items"]
    assert (item["run_id"], item["waiting_on"]) == (run, PEOPLE)
    assert hub.json("approvals", "list", "--person", "cleo@example.com")["items"] == []
    assert "Deploy cart 2.4" in hub.hub("approvals", "show", item["id"])
    refused = hub.hub("approvals", "approve", run, "--as", "cleo@example.com", code=1)
    assert "excluded" in refused
    hub.hub("approvals", "approve", run, code=2)
    answer = hub.json("approvals", "approve", run, "--as", PEOPLE[0])
    assert (answer["outcome"], answer["approvals"]) == ("pending", 1)
    eve = "eve@example.com"
    passed = hub.hub("approvals", "delegate", run, "--to", eve, "--as", PEOPLE[1])
    assert f"{eve} decides instead of {PEOPLE[1]}" in passed
    assert press(hub, link_of(hub, "cart", PEOPLE[1]), "approve").status_code == 403
    assert mails_to(hub, "cart", eve, "Passed on to you") or link_of(hub, "cart", eve)
    no = "approvals", "reject", run, "--as", eve, "--comment", "not on a Friday"
    assert "rejected" in hub.hub(*no)
    hub.until(lambda: hub.run(run)["status"] == "failed", "the end")
    shown = " ".join(hub.hub("runs", "show", run).split())
    assert "rejected by eve@example.com (cli)" in shown
    assert "passed on by bob@example.com to eve@example.com" in shown
    over = f"{hub.url}/api/approvals?status=decided&person={eve}"
    hub.until(lambda: hub.client.get(over).json()["items"], "what was decided")
    (one,) = hub.json("approvals", "list", "--decided", "--person", eve)["items"]
    assert (one["id"], one["decision"], one["waiting_on"]) == (item["id"], "rejected", [])
    said = [(by["who"], by["decision"], by["comment"]) for by in one["by"]]
    assert said == [(PEOPLE[0], "approve", None), (eve, "reject", "not on a Friday")]
    assert [(by["who"], by["to"]) for by in one["delegations"]] == [(PEOPLE[1], eve)]
    noted = hub.get("/api/audit?action=approval")["items"]
    assert [(one["action"], one["outcome"]) for one in noted if one["object"].startswith(run)] == [
        ("approval.reject", "done"),
        ("approval.approve", "refused"),
        ("approval.delegate", "done"),
        ("approval.approve", "done"),
        ("approval.approve", "refused"),
    ]
    (mail,) = mails_to(hub, "cart", "cleo@example.com")
    assert mail["subject"] == "Not deployed: cart 2.4"
    decided = hub.client.get(f"{hub.url}/api/approvals/{item['id']}").json()
    assert (decided["decision"], decided["waiting_on"]) == ("rejected", [])
