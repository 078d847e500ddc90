"""What the tests of the page do again and again."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.hub_process import HubProcess

__all__ = [
    "PASSWORD",
    "card",
    "choose",
    "request_deploy",
    "sign_in",
    "sign_up",
    "source",
    "until_waiting",
    "user",
]

PASSWORD = "correct horse battery"


def sign_up(hub: HubProcess, key: str) -> str:
    """A run of the example that waits for its verification; its id."""
    answer = hub.post(
        "/hooks/app",
        {
            "id": f"signed-{key}",
            "type": "user.signed_up",
            "data": {"user_id": key, "email": f"{key}@example.com", "name": key.title()},
        },
    )
    assert answer.status_code == 202
    run = f"user-onboarding/{key}"
    until_waiting(hub, run, "verified")
    return run


def request_deploy(hub: HubProcess, key: str) -> str:
    """A run of the example that waits for an approval; its id."""
    hub.post(
        "/hooks/app",
        {
            "id": f"deploy-{key}",
            "type": "deploy.requested",
            "data": {
                "id": key,
                "service": "shop",
                "version": key,
                "requester": "cleo@example.com",
                "changes": "Faster checkout.",
            },
        },
    )
    run = f"deploy-approval/{key}"
    hub.until(
        lambda: any(one["run_id"] == run for one in hub.get("/api/approvals")["items"]),
        "the approval to be open",
    )
    return run


def user(hub: HubProcess, *roles: str, name: str | None = None) -> str:
    """A local user with these roles, made by the developer at the machine itself; their name."""
    name = name or f"{uuid.uuid4().hex[:8]}@example.com"
    body = {"name": name, "password": PASSWORD, "roles": list(roles)}
    made = httpx.post(f"{hub.url}/api/users", json=body, trust_env=False)
    assert made.status_code == 201, made.text
    return name


def sign_in(page: Page, name: str, address: str = "/") -> None:
    """Sign in on a page of elsewhere, on the way to an address."""
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def until_waiting(hub: HubProcess, run: str, what: str) -> None:
    hub.until(
        lambda: hub.run(run).get("waiting_for") == [what], f"the run {run} to wait for {what}"
    )


def card(page: Page, path: str) -> Locator:
    """The card of the node of that path on the canvas."""
    return page.locator(f'.node[data-id="{path}"]')


def choose(page: Page, path: str) -> None:
    """Choose a node on the canvas, wherever it has been moved to."""
    page.get_by_role("button", name="Show all").click()
    card(page, path).click()


def source(page: Page) -> str:
    """The text in the editor, all of it, also what is scrolled out of sight."""
    text: Any = page.locator(".cm-content").evaluate("one => one.cmTile.view.state.doc.toString()")
    return str(text)
