"""Events on the page: why they did what they did, and once more."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import sign_up, until_waiting

PARCELS = """
tree: parcels
events:
  ordered: {webhook: app, where: event.type == "parcel.ordered", key: event.data.order}
  shipped: {webhook: app, where: event.type == "parcel.shipped", key: event.data.parcel}
start: ordered
do:
  - wait_for: {event: shipped, match: event.data.parcel}
"""


def test_why_an_event_reached_nobody(hub: HubProcess, page: Page) -> None:
    sign_up(hub, "near1")
    hub.post(
        "/hooks/app",
        {"id": "far1", "type": "user.email_verified", "data": {"user_id": "far1"}},
    )
    page.goto("/events")
    page.get_by_label("Key").fill("far1")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody tr").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("user.email_verified")
    why = page.locator(".panel", has_text="What became of it, and why")
    expect(why).to_contain_text("no run user-onboarding/far1 is live")
    expect(why).to_contain_text('event.type is "user.email_verified"')
    misses = page.locator(".panel", has_text="Near misses")
    expect(misses.get_by_role("link", name="user-onboarding/near1")).to_be_visible()


def test_an_event_by_its_value_leads_to_the_run_that_had_it(hub: HubProcess, page: Page) -> None:
    (hub.project / "trees" / "parcels.yaml").write_text(PARCELS)
    hub.until(
        lambda: "parcels" in [one["name"] for one in hub.get("/api/trees")["items"]], "the tree"
    )
    ordered = {"order": "p1", "parcel": "s-17"}
    hub.post("/hooks/app", {"id": "ordered-p1", "type": "parcel.ordered", "data": ordered})
    until_waiting(hub, "parcels/p1", "shipped")
    for parcel in ("s-17", "s-18"):
        event = {"id": f"shipped-{parcel}", "type": "parcel.shipped", "data": {"parcel": parcel}}
        hub.post("/hooks/app", event)
    hub.until(lambda: hub.run("parcels/p1").get("status") == "succeeded", "the run to go on")
    page.goto("/events/shipped-s-18")
    why = page.locator(".panel", has_text="What became of it, and why")
    expect(why).to_contain_text("by the value s-18")
    expect(why).to_contain_text("no run has had it")
    page.goto("/events/shipped-s-17")
    expect(why).to_contain_text("by the value s-17")
    why.get_by_role("link", name="parcels/p1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("p1")
    page.goto("/runs/~match/parcels/shipped-0123456789/s-17")
    expect(page.get_by_role("main")).to_contain_text("This is no run")


def test_replay_says_first_what_it_would_do(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "again1")
    hub.hub("runs", "cancel", run)
    hub.until(lambda: hub.run(run).get("status") == "cancelled", "the run to be cancelled")
    page.goto("/events/signed-again1")
    page.get_by_role("button", name="Replay").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".plan")).to_contain_text("starts")
    expect(dialog.locator(".plan")).to_contain_text(run)
    # Nothing has happened so far.
    assert hub.run(run)["status"] == "cancelled"
    dialog.get_by_label("Count it as a new event").check()
    dialog.get_by_role("button", name="Replay now").click()
    expect(page).to_have_url(re.compile("signed-again1~replay-"))
    expect(page.locator(".facts").first).to_contain_text("delivered")
    hub.until(lambda: hub.run(run).get("status") == "running", "the run to run again")


def test_the_journal_fills_while_one_looks(hub: HubProcess, page: Page) -> None:
    page.goto("/events?type=invoice.paid")
    expect(page.get_by_text("No event fits these filters")).to_be_visible()
    hub.post("/hooks/app", {"id": "inv-1", "type": "invoice.paid", "data": {"total": 12}})
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("unmatched")
    row.get_by_role("link").click()
    expect(page.get_by_role("region", name="The event's data")).to_contain_text('"total": 12')


def test_addresses_are_copied(hub: HubProcess, page: Page) -> None:
    page.goto("/triggers")
    page.get_by_role("button", name="Copy the address of app").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{hub.url}/hooks/app"
