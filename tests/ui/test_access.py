"""What everybody can use: axe finds nothing serious on any view, in both themes, also on a phone."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.hub_process import ROOT, HubProcess
from tests.ui.actions import card, request_deploy, sign_in, sign_up, user

AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = {
    "overview": ("/", "Events in the last hour"),
    "runs": ("/runs", "axe1"),
    "run": ("/runs/user-onboarding/axe1", "verification"),
    "no run": ("/runs/user-onboarding/none", "There is no such run"),
    "events": ("/events", "signed_up"),
    "event": ("/events/signed-axe1", "What became of it"),
    "trees": ("/trees", "user-onboarding"),
    "tree": ("/trees/user-onboarding", "No problems"),
    "triggers": ("/triggers", "partner"),
    "connections": ("/connections", "shop"),
    "approvals": ("/approvals", "Waiting"),
    "decided": ("/approvals?status=decided", "Decided"),
    "audit": ("/audit", "Outcome"),
    "nothing": ("/runs?key=none", "No run fits these filters"),
}


def faults(page: Page) -> list[str]:
    # Colours that are still changing are not those that people read.
    page.evaluate(
        "Promise.all(document.getAnimations()"
        ".filter(one => Number.isFinite(one.effect.getComputedTiming().endTime))"
        ".map(one => one.finished.catch(() => null)))"
        ".then(() => new Promise(done => setTimeout(done, 50)))"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: "
        + json.dumps([node["html"][:160] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture(scope="module")
def run(hub: HubProcess) -> str:
    # So that the audit log says something, too.
    user(hub, "viewer")
    return sign_up(hub, "axe1")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: `make setup` does that")
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_phone(
    page: Page, run: str, view: str
) -> None:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    address, text = VIEWS[view]
    page.goto(address)
    expect(page.get_by_role("main")).to_contain_text(text)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert faults(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    expect(page.locator("body")).not_to_have_css("background-color", light)
    assert faults(page) == []
    page.set_viewport_size({"width": 375, "height": 720})
    expect(page.get_by_role("main")).to_contain_text(text)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: `make setup` does that")
def test_axe_on_what_opens(page: Page, run: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/runs/{run}")
    card(page, "do[0]").click()
    assert faults(page) == []
    page.get_by_role("button", name="Send an event").click()
    assert faults(page) == []
    page.goto("/trees/user-onboarding")
    card(page, "do[1].fallback[0]").click()
    page.get_by_role("button", name="Add").click()
    assert faults(page) == []
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("What happens in it").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("region", name="Try it").get_by_role("status")).to_be_visible(
        timeout=60_000
    )
    page.get_by_role("button", name="Find").click()
    assert faults(page) == []
    page.goto("/events/signed-axe1")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("dialog").locator(".plan li")).to_have_count(1)
    assert faults(page) == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: `make setup` does that")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_on_signing_in_and_on_what_an_approver_sees(
    elsewhere: Page, hub: HubProcess, theme: str
) -> None:
    page = elsewhere
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.goto("/")
    expect(page.get_by_label("Password")).to_be_visible()
    assert faults(page) == []
    deploy = request_deploy(hub, f"axe-{theme}")
    sign_in(page, user(hub, "approver"), "/runs")
    expect(page.get_by_role("main")).to_contain_text("This is not for you to see")
    assert faults(page) == []
    page.goto("/approvals?of=all")
    page.get_by_role("link").filter(has_text=deploy).click()
    expect(page.get_by_role("main")).to_contain_text("You are not asked")
    assert faults(page) == []


def test_on_a_phone_four_views_are_at_hand_and_the_others_on_request(
    page: Page, hub: HubProcess
) -> None:
    page.set_viewport_size({"width": 375, "height": 720})
    page.goto("/")
    views = page.get_by_role("navigation", name="Views")
    expect(views.get_by_role("link")).to_have_text(["Overview", "Runs", "Approvals", "Events"])
    more = views.get_by_role("button", name="More")
    more.click()
    expect(more).to_have_attribute("aria-expanded", "true")
    assert faults(page) == []
    views.get_by_role("link", name="Connections").click()
    expect(page.get_by_role("heading", name="Connections")).to_be_visible()
    expect(views.get_by_role("link")).to_have_count(4)
    more.click()
    page.keyboard.press("Escape")
    expect(views.get_by_role("link")).to_have_count(4)


def test_the_theme_is_the_systems_until_one_is_chosen(page: Page, hub: HubProcess) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="As the system").click()
    assert page.evaluate(ground) == dark


def test_the_first_view_loads_little_script(page: Page, hub: HubProcess) -> None:
    sizes: dict[str, int] = {}
    page.on(
        "response",
        lambda response: (
            sizes.update({response.url: int(response.headers["content-length"])})
            if response.url.endswith(".js")
            else None
        ),
    )
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("Events in the last hour")
    assert sizes
    assert sum(sizes.values()) < 300_000
    assert not any(re.search(r"/(text|tree|run)-", url) for url in sizes)


def test_every_view_is_reached_by_the_keyboard(page: Page, hub: HubProcess) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for name in ("Runs", "Approvals", "Events", "Trees", "Triggers", "Connections"):
        link = page.get_by_role("navigation").get_by_role("link", name=name)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(link).to_have_attribute("aria-current", "page")
