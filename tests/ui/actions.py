"""What the tests of the page do again and again."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.acceptance.hub_process import HubProcess

__all__ = ["card", "choose", "sign_up", "source", "until_waiting"]


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


def until_waiting(hub: HubProcess, run: str, what: str) -> None:
    hub.until(
        lambda: hub.run(run).get("waiting_for") == [what], f"the run {run} to wait for {what}"
    )


def card(page: Page, path: str) -> Locator:
    """The card of the node of that path on the canvas."""
    return page.locator(f'.node[data-path="{path}"]')


def choose(page: Page, path: str) -> None:
    """Choose a node on the canvas, wherever it has been moved to."""
    page.get_by_role("button", name="Show all").click()
    card(page, path).click()


def source(page: Page) -> str:
    """The text in the editor, all of it, also what is scrolled out of sight."""
    expect(page.locator(".cm-content")).to_be_visible()
    text: Any = page.evaluate(
        "document.querySelector('.cm-content').cmTile.view.state.doc.toString()"
    )
    return str(text)
