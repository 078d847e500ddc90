"""A real `hub dev` over the example project, and a real Chromium that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.browser import find
from tests.acceptance.hub_process import ROOT, HubProcess

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the page is not tested: Playwright is not installed"
)

# The machine may be busy with other tests.
sync_api.expect.set_options(timeout=30_000)

CHROMIUM = find()
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = None
    if CHROMIUM is None:
        reason = "the page is not tested: there is no Chromium here (or HUB_TEST_CHROMIUM=path)"
    elif not (ROOT / "hub" / "web" / "index.html").is_file():
        reason = "the page is not tested: it has not been built (`make setup` says why)"
    here = Path(__file__).parent
    for item in items:
        if reason and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for all tests of the page; each test uses keys and trees of its own."""
    folder = tmp_path_factory.mktemp("page") / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".hub", ".env"))
    with HubProcess(folder) as hub:
        yield hub


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: sync_api.Browser, hub: HubProcess) -> Iterator[sync_api.BrowserContext]:
    """A window of its own. It may speak with the hub alone, and its script may not fail."""
    context = browser.new_context(
        base_url=hub.url, viewport={"width": 1440, "height": 900}, locale="en-GB"
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=hub.url)
    context.set_default_timeout(30_000)
    strangers: list[str] = []
    faults: list[str] = []
    context.on(
        "request",
        lambda request: (
            None if request.url.startswith((hub.url, "data:")) else strangers.append(request.url)
        ),
    )
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on(
        "console",
        lambda message: (
            faults.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    yield context
    context.close()
    assert strangers == []
    assert faults == []


@pytest.fixture
def page(context: sync_api.BrowserContext) -> sync_api.Page:
    return context.new_page()


@pytest.fixture
def elsewhere(browser: sync_api.Browser, hub: HubProcess) -> Iterator[sync_api.Page]:
    """A page whose requests come through a proxy, so that nobody is signed in by itself.

    Nothing that it asks for may be refused to whoever is signed in there.
    """
    headers = {"x-forwarded-for": "203.0.113.9"}
    context = browser.new_context(
        base_url=hub.url,
        extra_http_headers=headers,
        viewport={"width": 1440, "height": 900},
        locale="en-GB",
    )
    context.set_default_timeout(30_000)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on(
        "response",
        lambda answer: faults.append(f"403 {answer.url}") if answer.status == 403 else None,
    )
    yield context.new_page()
    context.close()
    assert faults == []
