"""Signing in on the page, as somebody who does not sit at the hub's own machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest
from playwright import sync_api
from playwright.sync_api import expect

from tests.acceptance.hub_process import HubProcess

PASSWORD = "correct horse battery"


@pytest.fixture
def name(hub: HubProcess) -> str:
    """A local user who may do everything, made by the developer at the machine itself."""
    name = f"{uuid.uuid4().hex[:8]}@example.com"
    body = {"name": name, "password": PASSWORD, "roles": ["admin"]}
    made = httpx.post(f"{hub.url}/api/users", json=body, trust_env=False)
    assert made.status_code == 201, made.text
    return name


@pytest.fixture
def elsewhere(browser: sync_api.Browser, hub: HubProcess) -> Iterator[sync_api.Page]:
    """A page whose requests come through a proxy, so that nobody is signed in by itself."""
    headers = {"x-forwarded-for": "203.0.113.9"}
    context = browser.new_context(base_url=hub.url, extra_http_headers=headers)
    context.set_default_timeout(30_000)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context.new_page()
    context.close()
    assert faults == []


def test_one_signs_in_changes_something_and_signs_out(
    elsewhere: sync_api.Page, hub: HubProcess, name: str
) -> None:
    page = elsewhere
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
