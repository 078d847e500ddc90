"""Approvals on the page: decided by people, each told the truth."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import card, request_deploy


def decide(page: Page, who: str, what: str) -> None:
    page.get_by_label("Deciding as").fill(who)
    page.get_by_role("button", name=what).click()


def test_two_people_approve_and_the_run_goes_on(hub: HubProcess, page: Page) -> None:
    run = request_deploy(hub, "v2.4")
    page.goto("/approvals")
    page.get_by_label("Your address").fill("ada@example.com")
    page.get_by_role("link", name=re.compile("Deploy shop v2.4")).click()
    expect(page.get_by_text("Faster checkout.")).to_be_visible()
    expect(page.get_by_label("Deciding as")).to_have_value("ada@example.com")
    page.get_by_label("When may it begin?").select_option("tonight")
    page.get_by_label("Comment").fill("tests are green")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 2")
    expect(page.get_by_text("tests are green", exact=True).last).to_be_visible()
    # A second yes of the same person counts no second time, and says so.
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("1 of 2 needed")
    # Who has asked for it may not decide.
    decide(page, "cleo@example.com", "Approve")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("1 of 2 needed")
    page.get_by_label("When may it begin?").select_option("tonight")
    decide(page, "bob@example.com", "Approve")
    expect(page.locator(".facts")).to_contain_text("approved")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    hub.until(lambda: hub.run(run).get("status") == "succeeded", "the run to have succeeded")


def test_it_is_decided_while_another_looks(hub: HubProcess, page: Page) -> None:
    run = request_deploy(hub, "v2.5")
    page.goto("/approvals")
    page.get_by_role("link", name=re.compile("Deploy shop v2.5")).click()
    expect(page.get_by_role("button", name="Reject")).to_be_visible()
    (item,) = [one for one in hub.get("/api/approvals")["items"] if one["run_id"] == run]
    answer = hub.post(
        f"/api/approvals/{item['id']}/decision", {"decision": "reject", "as": "bob@example.com"}
    )
    assert answer.status_code == 200
    expect(page.locator(".facts")).to_contain_text("rejected")
    expect(page.get_by_role("button", name="Reject")).to_have_count(0)
    page.get_by_role("link", name=run).click()
    expect(card(page, "do[0].try[0]")).to_contain_text("failed")


def test_a_decision_is_passed_on_and_what_was_decided_stays(hub: HubProcess, page: Page) -> None:
    run = request_deploy(hub, "v2.6")
    page.goto("/approvals")
    page.get_by_role("link", name=re.compile("Deploy shop v2.6")).click()
    page.get_by_label("Deciding as").fill("ada@example.com")
    page.get_by_role("button", name="Pass it on").click()
    dialog = page.get_by_role("dialog")
    # To somebody who is asked already it cannot be passed on, and that is said.
    dialog.get_by_label("Who decides instead").fill("bob@example.com")
    dialog.get_by_role("button", name="Pass it on").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Who decides instead").fill("eve@example.com")
    dialog.get_by_label("Why").fill("on holiday")
    dialog.get_by_role("button", name="Pass it on").click()
    expect(page.get_by_role("status")).to_contain_text("eve@example.com decides")
    who = page.locator(".panel", has_text="Who has said what")
    expect(who).to_contain_text("on holiday")
    # Who has passed it on decides no more.
    page.get_by_label("When may it begin?").select_option("tonight")
    decide(page, "ada@example.com", "Approve")
    expect(page.get_by_role("alert")).to_be_visible()
    decide(page, "eve@example.com", "Reject")
    expect(page.locator(".facts")).to_contain_text("rejected")
    page.goto("/approvals?status=decided")
    page.get_by_label("Your address").fill("")
    line = page.get_by_role("link", name=re.compile("Deploy shop v2.6"))
    expect(line).to_contain_text("eve@example.com rejected by page")
    expect(line).to_contain_text("ada@example.com passed it on to eve@example.com")
    line.click()
    page.get_by_role("link", name=run).click()
    expect(card(page, "do[0].try[0]")).to_contain_text("failed")
