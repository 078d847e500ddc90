"""Where events come in and what actions use, on the page; and the numbers that lead to lists."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import sign_up


def test_what_was_turned_away_is_told_at_its_trigger(hub: HubProcess, page: Page) -> None:
    refused = hub.post("/hooks/partner", {"type": "x"}, {"x-signature": "sha256=00"})
    assert refused.status_code == 401
    page.goto("/triggers")
    card = page.get_by_role("region", name="partner")
    expect(card).to_contain_text(re.compile(r"\d refused: not signed as they should be"))
    expect(page.get_by_role("region", name="orders")).to_contain_text("behind")
    page.get_by_role("button", name="Copy the address of app").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{hub.url}/hooks/app"


def test_a_connection_is_tested(hub: HubProcess, page: Page) -> None:
    page.goto("/connections")
    shop = page.get_by_role("region", name="shop")
    shop.get_by_role("button", name="Test shop").click()
    expect(shop.get_by_role("status")).to_contain_text("the database answers")
    mail = page.get_by_role("region", name="mail")
    mail.get_by_role("button", name="Test mail").click()
    expect(mail.get_by_role("status")).to_contain_text("succeeded")
    sign_up(hub, "used1")
    expect(mail).to_contain_text("email.send")


def test_a_schedule_is_paused_and_goes_on(hub: HubProcess, page: Page) -> None:
    page.goto("/triggers")
    row = page.get_by_role("row", name=re.compile("daily-report"))
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("paused")
    row.get_by_role("button", name="Resume").click()
    expect(row).not_to_contain_text("paused")
    row.get_by_role("button", name="Backfill").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From").fill("2026-01-05T00:00")
    dialog.get_by_label("To").fill("2026-01-05T23:00")
    dialog.get_by_role("button", name="Start them").click()
    expect(dialog).to_have_count(0)
    hub.until(
        lambda: hub.get("/api/runs?tree=daily-report")["items"], "a run of the day that was missed"
    )


def test_each_number_leads_to_its_list(hub: HubProcess, page: Page) -> None:
    sign_up(hub, "count1")
    for name, address in (
        ("Runs under way", "/runs?status=running"),
        ("Approvals waiting", "/approvals"),
        ("Dead letters", "/events?status=dead"),
        ("Not delivered yet", "/events?status=accepted"),
        ("Scheduled next", "/triggers"),
        ("Events in the last hour", "/events?within=1h"),
    ):
        page.goto("/")
        page.get_by_role("main").get_by_role("link", name=re.compile(name)).first.click()
        expect(page).to_have_url(hub.url + address)


def test_the_journal_is_followed_also_without_a_stream(hub: HubProcess, page: Page) -> None:
    def come(event_id: str) -> None:
        hub.post("/hooks/app", {"id": event_id, "type": f"came.{event_id}", "data": {}})
        expect(page.get_by_role("link", name=f"came.{event_id}")).to_be_visible()

    with page.expect_request(re.compile("/api/events/live")):
        page.goto("/events")
    come("streamed1")
    page.route("**/api/events/live**", lambda route: route.abort())
    page.goto("/events")
    come("asked1")
