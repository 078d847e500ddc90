"""Pictures of every view into `docs/screenshots/`, from real data of a real `hub dev`.

    .venv/bin/python scripts/screenshots.py [NAME ...]

Without names all are made anew. Needs the built page, Playwright and a Chromium
(HUB_TEST_CHROMIUM=path where it is not found). Each picture has at most 256 colours, so that it is
small.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from tests.acceptance.hub_process import HubProcess  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
PEOPLE = ("ada", "grace", "linus", "barbara", "edsger", "donald", "radia", "ken")
PASSWORD = "correct horse battery"
SIZES = {"": (1440, 900), "-dark": (1440, 900), "-phone": (390, 844)}


@dataclass(frozen=True)
class View:
    """Where a picture is taken, what is waited for there, and what is done before it is taken."""

    address: str
    sign: str
    also: tuple[str, ...] = ()
    """Beside the light one: "-dark", "-phone"."""
    prepare: Callable[[Page], None] | None = None
    signed_in: bool = True


def ask_connections(page: Page) -> None:
    for connection in ("mail", "shop"):
        page.get_by_role("button", name=f"Test {connection}").click()
    expect(page.get_by_text("the database answers")).to_be_visible(timeout=20_000)


def see_the_text(page: Page) -> None:
    expect(page.locator(".cm-content")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Show all").click()


def open_form(page: Page) -> None:
    """The tree's own form, with what holds its starts back."""
    page.get_by_role("button", name="Drawing").click()
    page.get_by_role("button", name="Show all").click()
    page.locator('.node[data-id="do"]').click()
    form = page.get_by_role("region", name="Fields of")
    form.get_by_text("When it starts again, and how often").click()
    form.get_by_text("rate", exact=True).click()
    form.get_by_text("When it starts again, and how often").scroll_into_view_if_needed()
    page.get_by_role("button", name="Show all").click()


def try_out(page: Page) -> None:
    """A scenario of the tree's tests, on its way."""
    page.get_by_role("button", name="Try it").click()
    trial = page.get_by_role("region", name="Try it")
    trial.get_by_label("Scenario").select_option("no reminder when verified in time")
    trial.get_by_role("button", name="Run", exact=True).click()
    expect(trial.get_by_role("status")).to_be_visible(timeout=60_000)
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")


def open_approval(page: Page) -> None:
    page.get_by_role("link", name="Deploy shop 2.4").click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def open_change(page: Page) -> None:
    page.locator("tbody tr", has_text="approval.approve").locator("summary").click()


VIEWS = {
    "overview": View("/", ".lines li", ("-dark", "-phone")),
    "runs": View("/runs", "tbody tr", ("-phone",)),
    "run": View("/runs/user-onboarding/ada", ".card-until", ("-dark", "-phone")),
    "events": View("/events", "tbody tr"),
    "event": View("/events/verified-nobody", ".verdict", ("-dark",)),
    "trees": View("/trees", ".tree-line"),
    "tree": View("/trees/user-onboarding", ".card-node", ("-dark",), see_the_text),
    "form": View("/trees/user-onboarding", ".card-node", (), open_form),
    "trial": View("/trees/user-onboarding", ".card-node", (), try_out),
    "approvals": View("/approvals", ".lines li", ("-phone",)),
    "approval": View("/approvals", ".lines li", ("-dark", "-phone"), open_approval),
    "decided": View("/approvals?status=decided&of=all", ".lines li"),
    "triggers": View("/triggers", ".card"),
    "connections": View("/connections", ".connection", (), ask_connections),
    "audit": View("/audit", "tbody tr", (), open_change),
    "sign-in": View("/", ".sign-in form", ("-dark",), None, signed_in=False),
}


def live(hub: HubProcess) -> None:
    """A morning at a hub: people sign up, orders come in, somebody wants to deploy."""
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
    orders(hub)
    send(hub, "user.email_verified", "verified-nobody", {"user_id": "rdia"})
    send(hub, "invoice.paid", "invoice-17", {"total": 1200, "currency": "EUR"})
    send(hub, "user.signed_up", "signed-ada", {"user_id": "ada", "email": "ada@example.com"})
    pull_request(hub)
    hub.hub("schedules", "trigger", "daily-report/due")
    for version in ("2.4", "2.5"):
        deploy(hub, version, "Faster checkout; the cart survives a reload.")
    hub.until(lambda: len(hub.get("/api/approvals")["items"]) == 2, "the approvals")
    item = next(one for one in hub.get("/api/approvals")["items"] if "2.4" in one["run_id"])
    decision = {"decision": "approve", "as": "bob@example.com", "comment": "Tests are green."}
    hub.post(f"/api/approvals/{item['id']}/decision", decision)
    reject(hub)


def orders(hub: HubProcess) -> None:
    """One that waits for its delivery, one that was delivered, one that was cancelled and undone."""
    for order, total in (("o-1041", 18), ("o-1042", 42), ("o-1043", 99)):
        placed = {"type": "order.placed", "order_id": order, "total": total, "items": ["book"]}
        produce(hub, order, {**placed, "email": "bob@example.com"})
        run = f"order-saga/{order}"
        hub.until(lambda run=run: hub.run(run).get("waiting_for") == ["delivered"], run)
    produce(hub, "o-1041", {"type": "shipment.delivered", "order_id": "o-1041"})
    produce(hub, "o-1043", {"type": "order.cancelled", "order_id": "o-1043"})
    for order, status in (("o-1041", "succeeded"), ("o-1043", "failed")):
        run = f"order-saga/{order}"
        hub.until(lambda run=run, status=status: hub.run(run).get("status") == status, run)


def produce(hub: HubProcess, order: str, value: dict[str, Any]) -> None:
    hub.hub("produce", "orders", "--key", order, json.dumps(value))


def pull_request(hub: HubProcess) -> None:
    """As GitHub signs it; and once with a wrong signature."""
    body = json.dumps(
        {
            "action": "opened",
            "number": 12,
            "repository": {"full_name": "analytical/shop"},
            "pull_request": {
                "draft": False,
                "title": "Retry payments",
                "html_url": "https://x.y",
                "number": 12,
            },
        }
    ).encode()
    for secret in ("github-demo-secret", "a-wrong-one"):
        headers = {
            "content-type": "application/json",
            "x-github-event": "pull_request",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature-256": "sha256="
            + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        }
        httpx.post(f"{hub.url}/hooks/github", content=body, headers=headers, trust_env=False)


def deploy(hub: HubProcess, version: str, changes: str | None = None) -> None:
    data = {
        "id": f"shop-{version}",
        "service": "shop",
        "version": version,
        "requester": "cleo@example.com",
        **({"changes": changes} if changes else {}),
    }
    send(hub, "deploy.requested", f"deploy-{version}", data)


def reject(hub: HubProcess) -> None:
    """One that is over: passed on by one, rejected by the other."""
    deploy(hub, "2.3")

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


def people(hub: HubProcess) -> None:
    """Who signs in, and who is listed in the audit log."""
    for name, roles in (
        ("ada@example.com", ["admin"]),
        ("bob@example.com", ["approver"]),
        ("linus@example.com", ["viewer"]),
    ):
        body = {"name": name, "password": PASSWORD, "roles": roles}
        assert hub.post("/api/users", body).status_code == 201


def take(browser: Browser, hub: HubProcess, suffix: str, names: list[str]) -> None:
    """The pictures of one size and theme; ada@example.com is signed in, as from elsewhere."""
    width, height = SIZES[suffix]
    context = browser.new_context(
        base_url=hub.url,
        color_scheme="dark" if suffix == "-dark" else "light",
        viewport={"width": width, "height": height},
        locale="en-GB",
        extra_http_headers={"x-forwarded-for": "203.0.113.9"},
    )
    page = context.new_page()
    for name in sorted(names, key=lambda name: VIEWS[name].signed_in):
        view = VIEWS[name]
        page.goto(view.address)
        page.get_by_label("Password").or_(page.get_by_role("navigation")).first.wait_for()
        if view.signed_in and page.get_by_label("Password").count():
            page.get_by_label("Name").fill("ada@example.com")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
        expect(page.locator(view.sign).first).to_be_visible(timeout=20_000)
        if view.prepare is not None:
            view.prepare(page)
        expect(page.locator(".skeleton")).to_have_count(0, timeout=20_000)
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        # What moves has come to rest.
        time.sleep(0.8)
        picture = page.screenshot()
        (OUT / f"{name}{suffix}.png").write_bytes(small(browser, picture))
        print(f"{name}{suffix}", flush=True)
    context.close()


_REDUCE = """async (picture) => {
  const image = await createImageBitmap(await (await fetch(picture)).blob());
  const {width, height} = image;
  const canvas = new OffscreenCanvas(width, height);
  const paper = canvas.getContext("2d");
  paper.drawImage(image, 0, 0);
  const pixels = new Uint32Array(paper.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
  const apart = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
  const nearest = (colour, palette) => {
    let [best, least] = [0, Infinity];
    for (let at = 0; at < palette.length && least > 0; at++) {
      const distance = apart(colour, palette[at]);
      if (distance < least) [best, least] = [at, distance];
    }
    return [best, least];
  };
  // The most frequent colours, and none that hardly differs from one that is there.
  const known = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour);
  let palette = [];
  for (let closest = 0; ; closest = closest * 2 + 6) {
    palette = [];
    for (const colour of known) {
      const own = parts(colour);
      if (palette.length === 0 || nearest(own, palette)[1] > closest) palette.push(own);
      if (palette.length > 256) break;
    }
    if (palette.length <= 256) break;
  }
  const places = new Map(known.map((colour) => [colour, nearest(parts(colour), palette)[0]]));
  let indices = "";
  for (let at = 0; at < pixels.length; at += 8192) {
    const row = Array.from(pixels.subarray(at, at + 8192), (pixel) => places.get(pixel));
    indices += String.fromCharCode(...row);
  }
  return {width, height, palette: palette.flat(), indices: btoa(indices)};
}"""


def small(browser: Browser, picture: bytes) -> bytes:
    """The same PNG with at most 256 colours (PNG specification, third edition, 11.2)."""
    page = browser.new_page()
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    reduced: dict[str, Any] = page.evaluate(_REDUCE, address)
    page.close()
    width, height = reduced["width"], reduced["height"]
    indices = base64.b64decode(reduced["indices"])
    rows = b"".join(b"\0" + indices[at : at + width] for at in range(0, len(indices), width))
    made = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", bytes(reduced["palette"])),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )
    return min(made, picture, key=len)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def main() -> None:
    wanted = sys.argv[1:] or list(VIEWS)
    unknown = [name for name in wanted if name not in VIEWS]
    if unknown:
        sys.exit(f"there is no picture {', '.join(unknown)}; there are {', '.join(VIEWS)}")
    chromium = os.environ.get("HUB_TEST_CHROMIUM") or shutil.which("chromium")
    OUT.mkdir(parents=True, exist_ok=True)
    if not sys.argv[1:]:
        for picture in OUT.glob("*.png"):
            picture.unlink()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "examples"
        shutil.copytree(ROOT / "examples", project, ignore=shutil.ignore_patterns(".hub", ".env"))
        with HubProcess(project) as hub, sync_playwright() as playwright:
            people(hub)
            live(hub)
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            for suffix in SIZES:
                names = [name for name in wanted if not suffix or suffix in VIEWS[name].also]
                if names:
                    take(browser, hub, suffix, names)
            browser.close()
    pictures = list(OUT.glob("*.png"))
    size = sum(picture.stat().st_size for picture in pictures)
    print(f"{len(pictures)} pictures in {OUT.relative_to(ROOT)}, {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
