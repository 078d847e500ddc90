"""Runs on the page: found by filters, live on the canvas, driven from there."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import card, sign_up


def test_a_run_goes_on_before_ones_eyes(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "live1")
    page.goto(f"/runs/{run}")
    wait = card(page, "do[1].fallback[0]")
    expect(wait).to_contain_text("waiting")
    expect(wait.locator(".card-until")).to_have_text(re.compile(r"^23:5\d:\d\d$"))
    expect(card(page, "do[2]")).to_contain_text("to come")
    hub.post(
        "/hooks/app",
        {"id": "v-live1", "type": "user.email_verified", "data": {"user_id": "live1"}},
    )
    expect(wait).to_contain_text("succeeded")
    expect(card(page, "do[2]")).to_contain_text("waiting")
    expect(card(page, "do[2]").locator(".card-until")).to_have_text(re.compile(r"^6 d 23:5"))


def test_the_way_to_the_end_without_a_command(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "drive1")
    page.goto(f"/runs/{run}")
    page.get_by_role("button", name="Send an event").click()
    dialog = page.get_by_role("dialog")
    # What the run waits for is proposed first, with its type and its key.
    expect(dialog.get_by_label("Type")).to_have_value("user.email_verified")
    expect(dialog.get_by_label("Data")).to_have_value(re.compile('"user_id": "drive1"'))
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(card(page, "do[1]")).to_contain_text("succeeded")
    page.get_by_role("button", name="To the next timer").click()
    expect(card(page, "do[3]")).to_contain_text("succeeded")
    expect(page.locator(".run-facts")).to_contain_text("succeeded")
    expect(page.locator(".run-facts")).to_contain_text("7 d")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert hub.run(run)["status"] == "succeeded"


def test_back_through_its_past(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "past1")
    hub.hub("runs", "forward", run, "9d")
    page.goto(f"/runs/{run}")
    expect(card(page, "do[3]")).to_contain_text("succeeded")
    slider = page.get_by_role("slider", name="Moment in the run's past")
    slider.focus()
    page.keyboard.press("Home")
    expect(card(page, "do[3]")).to_contain_text("to come")
    expect(card(page, "do[1].fallback[1]")).to_contain_text("to come")
    page.keyboard.press("End")
    expect(card(page, "do[3]")).to_contain_text("succeeded")


def test_details_of_a_node_and_its_mailbox(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "detail1")
    page.goto(f"/runs/{run}")
    expect(page.get_by_role("complementary")).to_contain_text("user.signed_up")
    card(page, "do[0]").click()
    details = page.get_by_role("complementary")
    expect(details).to_contain_text("welcome")
    expect(details.get_by_role("region", name="The node's result")).to_be_visible()
    # The arrow keys lead through the tree.
    page.keyboard.press("ArrowDown")
    expect(details).to_contain_text("fallback")
    page.keyboard.press("ArrowRight")
    expect(details).to_contain_text("verification")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(details).to_contain_text("User onboarding")


def test_cancel_and_terminate_ask_first(hub: HubProcess, page: Page) -> None:
    first, second = sign_up(hub, "stop1"), sign_up(hub, "stop2")
    page.goto(f"/runs/{first}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".run-facts")).to_contain_text("cancelled")
    page.goto(f"/runs/{second}")
    page.get_by_role("button", name="Terminate").click()
    page.get_by_label("Why").fill("by mistake")
    page.get_by_role("button", name="Terminate the run").click()
    expect(page.locator(".run-facts")).to_contain_text("terminated")


def test_filters_are_kept_in_the_address(hub: HubProcess, page: Page) -> None:
    sign_up(hub, "find1")
    sign_up(hub, "find2")
    page.goto("/runs")
    page.get_by_label("Key").fill("find2")
    expect(page).to_have_url(re.compile(r"key=find2"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    page.get_by_label("Status").select_option("running")
    expect(page).to_have_url(re.compile(r"status=running"))
    page.reload()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/runs/user-onboarding/find2$"))
    page.go_back()
    expect(page.get_by_label("Key")).to_have_value("find2")
    page.get_by_label("Key").fill("nobody")
    expect(page.get_by_text("No run fits these filters")).to_be_visible()


def test_keys_are_data_and_nothing_else(hub: HubProcess, page: Page) -> None:
    key = "<img src=x onerror=alert(1)>/ü ?#%2F"
    hub.post(
        "/hooks/app",
        {"id": "odd", "type": "user.signed_up", "data": {"user_id": key, "email": "a@example.com"}},
    )
    page.goto("/runs")
    link = page.get_by_role("link", name=key, exact=True)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(key)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(key)


def test_a_run_that_is_not_there(hub: HubProcess, page: Page) -> None:
    page.goto("/runs/user-onboarding/nobody")
    expect(page.get_by_text("There is no such run")).to_be_visible()
