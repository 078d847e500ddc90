"""What the page offers to whom: nothing that they may not do, and it asks for nothing that is refused."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import card, request_deploy, sign_in, sign_up, user


@pytest.mark.parametrize("role", ["viewer", "approver", "operator", "editor"])
def test_the_page_asks_for_nothing_that_is_refused(
    elsewhere: Page, hub: HubProcess, role: str
) -> None:
    """The page `elsewhere` fails by itself where something is."""
    page = elsewhere
    sign_in(page, user(hub, role))
    names = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    if role == "approver":
        assert names == ["Approvals"]
    else:
        assert names == [
            "Overview",
            "Runs",
            "Approvals",
            "Events",
            "Trees",
            "Triggers",
            "Connections",
        ]
    for name in names:
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator(".skeleton")).to_have_count(0)
    page.goto("/audit")
    expect(page.get_by_role("main")).to_contain_text("It takes the role admin.")


def test_a_viewer_is_offered_nothing_that_takes_another_role(
    elsewhere: Page, hub: HubProcess
) -> None:
    run = sign_up(hub, "viewed")
    deploy = request_deploy(hub, "v3.1")
    page = elsewhere
    sign_in(page, user(hub, "viewer"), f"/runs/{run}")
    main = page.get_by_role("main")
    expect(card(page, "do[1].fallback[0]")).to_be_visible()
    expect(main.get_by_role("link", name="Temporal")).to_be_visible()
    for name in ("To the next timer", "Send an event", "Cancel", "Terminate"):
        expect(main.get_by_role("button", name=name)).to_have_count(0)
    page.goto("/events/signed-viewed")
    expect(main).to_contain_text("What became of it")
    expect(main.get_by_role("button", name="Replay")).to_have_count(0)
    page.goto("/triggers")
    expect(main.get_by_role("heading", name="Schedules")).to_be_visible()
    for name in ("Run now", "Pause", "Backfill"):
        expect(main.get_by_role("button", name=name)).to_have_count(0)
    page.goto("/connections")
    expect(main).to_contain_text("shop")
    expect(main.get_by_role("button")).to_have_count(0)
    page.goto("/trees")
    expect(main).to_contain_text("user-onboarding")
    expect(main.get_by_role("button", name="New tree")).to_have_count(0)
    page.goto("/trees/user-onboarding")
    expect(main).to_contain_text("You may look at it, not change it. It takes the role editor.")
    card(page, "do[0]").click()
    expect(page.get_by_role("region", name="Fields of")).to_be_visible()
    for name in ("Save", "Saved", "Undo", "Try it", "Add", "Delete"):
        expect(main.get_by_role("button", name=name, exact=True)).to_have_count(0)
    page.goto("/approvals")
    page.get_by_role("link", name=re.compile("Deploy shop v3.1")).click()
    expect(main.get_by_role("link", name=deploy)).to_be_visible()
    expect(main).to_contain_text("It takes the role approver.")
    for name in ("Approve", "Reject", "Pass it on"):
        button = main.get_by_role("button", name=name)
        expect(button).to_be_disabled()
        expect(button).to_have_attribute("title", re.compile("It takes the role approver"))


def test_an_approver_lands_where_it_is_decided(elsewhere: Page, hub: HubProcess) -> None:
    deploy = request_deploy(hub, "v3.2")
    page = elsewhere
    sign_in(page, user(hub, "approver", name="bob@example.com"))
    main = page.get_by_role("main")
    expect(page).to_have_url(re.compile("/approvals$"))
    page.get_by_role("link", name=re.compile("Deploy shop v3.2")).click()
    expect(main).to_contain_text(deploy)
    # What they may not see is no link.
    expect(main.get_by_role("link", name=deploy)).to_have_count(0)
    expect(main).to_contain_text("Deciding as bob@example.com")
    page.get_by_label("When may it begin?").select_option("tonight")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 2")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    expect(main).to_contain_text("You have said what you think")
    page.goto(f"/runs/{deploy}")
    expect(main).to_contain_text("This is not for you to see")
    # One that does not ask them.
    page.goto("/approvals?of=all")
    expect(main).to_contain_text("Deploy shop v3.2")
