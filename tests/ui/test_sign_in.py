"""Signing in on the page, as somebody who does not sit at the hub's own machine."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import PASSWORD, sign_in, sign_up, user


def test_one_signs_in_changes_something_and_signs_out(elsewhere: Page, hub: HubProcess) -> None:
    page, name = elsewhere, user(hub, "admin")
    page.goto("/trees/user-onboarding")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("name or the password is wrong")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    # Where one wanted to go.
    expect(page.get_by_role("heading", name="User onboarding")).to_be_visible()
    expect(page.get_by_text(name)).to_be_visible()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("session.begin").first).to_be_visible()
    page.reload()
    expect(page.get_by_text(name).first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/runs")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_signed_in_by_password_throws_the_caught_mail_away(
    elsewhere: Page, hub: HubProcess
) -> None:
    sign_up(hub, "mail-clear")
    page = elsewhere
    sign_in(page, user(hub, "operator"))
    page.get_by_role("link", name="Caught mail").click()
    expect(page.get_by_text("mail-clear@example.com").first).to_be_visible()
    page.get_by_role("button", name="Throw all away").click()
    expect(page.get_by_text("mail-clear@example.com")).to_have_count(0)
