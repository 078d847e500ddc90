"""Pictures of every view into `docs/screenshots/`, from real data of a real `hub dev`.

    .venv/bin/python scripts/screenshots.py

Needs the built page, Playwright and a Chromium (HUB_TEST_CHROMIUM=path where it is not found).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402

from tests.acceptance.hub_process import HubProcess  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
PEOPLE = ("ada", "grace", "linus", "barbara", "edsger", "donald", "radia", "ken")


def live(hub: HubProcess) -> None:
    """A morning at a hub: people sign up, some verify, somebody wants to deploy."""
    for number, name in enumerate(PEOPLE):
        data = {"user_id": name, "email": f"{name}@example.com", "name": name.title()}
        send(hub, "user.signed_up", f"signed-{name}", data)
        run = f"user-onboarding/{name}"
        hub.until(lambda run=run: hub.run(run).get("waiting_for") == ["verified"], run)
        if number % 3 == 0:
            send(hub, "user.email_verified", f"verified-{name}", {"user_id": name})
    for name, by in (("grace", "9d"), ("donald", "25h"), ("edsger", "25h")):
        hub.hub("runs", "forward", f"user-onboarding/{name}", by, code=None)
    hub.hub("runs", "cancel", "user-onboarding/ken", code=None)
    send(hub, "user.email_verified", "verified-nobody", {"user_id": "rdia"})
    send(hub, "invoice.paid", "invoice-17", {"total": 1200, "currency": "EUR"})
    send(hub, "user.signed_up", "signed-ada", {"user_id": "ada", "email": "ada@example.com"})
    for version in ("2.4", "2.5"):
        data = {
            "id": f"shop-{version}",
            "service": "shop",
            "version": version,
            "requester": "cleo@example.com",
            "changes": "Faster checkout; the cart survives a reload.",
        }
        send(hub, "deploy.requested", f"deploy-{version}", data)
    hub.until(lambda: len(hub.get("/api/approvals")["items"]) == 2, "the approvals")
    item = next(one for one in hub.get("/api/approvals")["items"] if "2.4" in one["run_id"])
    decision = {"decision": "approve", "as": "ada@example.com", "comment": "Tests are green."}
    hub.post(f"/api/approvals/{item['id']}/decision", decision)
    reject(hub)


def reject(hub: HubProcess) -> None:
    """One that is over: passed on by one, rejected by the other."""
    data = {"id": "shop-2.3", "service": "shop", "version": "2.3", "requester": "cleo@example.com"}
    send(hub, "deploy.requested", "deploy-2.3", data)

    def found() -> list[dict[str, str]]:
        return [one for one in hub.get("/api/approvals")["items"] if "2.3" in one["run_id"]]

    hub.until(found, "the approval that is rejected")
    (item,) = found()
    path = f"/api/approvals/{item['id']}"
    passed_on = {"to": "eve@example.com", "as": "ada@example.com", "comment": "On holiday."}
    hub.post(f"{path}/delegation", passed_on)
    decision = {"decision": "reject", "as": "eve@example.com", "comment": "Not on a Friday."}
    hub.post(f"{path}/decision", decision)
    hub.until(lambda: not found(), "the approval to be over")


def send(hub: HubProcess, kind: str, event_id: str, data: dict[str, object]) -> None:
    hub.post("/hooks/app", {"id": event_id, "type": kind, "data": data})


def take(page: Page, hub: HubProcess, suffix: str) -> None:
    views = {
        "overview": ("/", ".lines li"),
        "runs": ("/runs", "tbody tr"),
        "run": ("/runs/user-onboarding/ada", ".card-until"),
        "events": ("/events", "tbody tr"),
        "event": ("/events/verified-nobody", ".verdict"),
        "trees": ("/trees", "tbody tr"),
        "tree": ("/trees/order-saga", ".card-node"),
        "approvals": ("/approvals", ".lines li"),
        "triggers": ("/triggers", ".card"),
        "connections": ("/connections", ".connection"),
        "decided": ("/approvals?status=decided", ".lines li"),
    }
    for name, (address, sign) in views.items():
        page.goto(hub.url + address)
        expect(page.locator(sign).first).to_be_visible(timeout=20_000)
        if name == "tree" and not suffix.endswith("phone"):
            expect(page.locator(".cm-content")).to_be_visible(timeout=20_000)
        if name == "connections":
            for connection in ("mail", "shop"):
                page.get_by_role("button", name=f"Test {connection}").click()
            expect(page.get_by_text("the database answers")).to_be_visible(timeout=20_000)
        time.sleep(0.7)
        page.screenshot(path=OUT / f"{name}{suffix}.png")
    if not suffix.endswith("phone"):
        try_out(page, hub, suffix)
    page.goto(f"{hub.url}/approvals")
    page.locator(".lines a").last.click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    time.sleep(0.5)
    page.screenshot(path=OUT / f"approval{suffix}.png")


def try_out(page: Page, hub: HubProcess, suffix: str) -> None:
    """A scenario of the tree's tests, on its way."""
    page.goto(f"{hub.url}/trees/user-onboarding")
    page.get_by_role("button", name="Try it").click()
    trial = page.get_by_role("region", name="Try it")
    trial.get_by_label("Scenario").select_option("no reminder when verified in time")
    trial.get_by_role("button", name="Run", exact=True).click()
    expect(trial.get_by_role("status")).to_be_visible(timeout=60_000)
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    time.sleep(0.5)
    page.screenshot(path=OUT / f"trial{suffix}.png")


def main() -> None:
    chromium = os.environ.get("HUB_TEST_CHROMIUM") or shutil.which("chromium")
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "examples"
        shutil.copytree(ROOT / "examples", project, ignore=shutil.ignore_patterns(".hub", ".env"))
        with HubProcess(project) as hub, sync_playwright() as playwright:
            live(hub)
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            for suffix, scheme, size in (
                ("", "light", (1440, 900)),
                ("-dark", "dark", (1440, 900)),
                ("-phone", "light", (390, 844)),
            ):
                context = browser.new_context(
                    color_scheme="dark" if scheme == "dark" else "light",
                    viewport={"width": size[0], "height": size[1]},
                    locale="en-GB",
                )
                take(context.new_page(), hub, suffix)
                context.close()
            browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
