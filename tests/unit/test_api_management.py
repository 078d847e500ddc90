from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from litestar import get

from hub.api.guards import ANYONE
from hub.errors import Diagnostic, InvalidDefinition, Unreachable
from hub.event import Event
from hub.routing.journal import DeliveryRecord
from hub.run.state import Failure, NodeState
from tests.unit.api_home import ONBOARDING, Home, open_home
from tests.unit.test_api_ingress import is_problem

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CE = "application/cloudevents+json"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


def cloudevent(event_id: str = "e1", **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": event_id, "source": "/t", "type": "t.x"} | more


async def send(home: Home, document: object, *, kind: str = CE, query: str = "") -> Any:
    return await home.client.post(
        f"/api/events{query}",
        content=msgspec.json.encode(document),
        headers={"content-type": kind},
    )


# --- events ---


async def test_cloudevents_in_all_three_modes(home: Home) -> None:
    one = await send(home, cloudevent("a", data={"n": 1}))
    assert (one.status_code, one.json()) == (202, {"id": "a"})
    assert (await send(home, cloudevent("a"))).json() == {"id": "a", "duplicate": True}
    batch = "application/cloudevents-batch+json"
    many = await send(home, [cloudevent("b"), cloudevent("c")], kind=batch)
    assert many.json() == {"ids": ["b", "c"]}
    assert (await send(home, [], kind=batch)).json() == {"ids": []}
    binary = await home.client.post(
        "/api/events?trigger=app",
        content=b'{"n": 2}',
        headers={
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "d",
            "ce-source": "/t",
            "ce-type": "t.y",
        },
    )
    assert binary.json() == {"id": "d"}
    found = {e.id: (e.trigger, e.event.data) for e in await home.journaled()}
    assert found == {
        "a": ("api", {"n": 1}),
        "b": ("api", None),
        "c": ("api", None),
        "d": ("app", {"n": 2}),
    }


async def test_events_that_are_none(home: Home) -> None:
    is_problem(await send(home, {"id": "x"}), 400, "invalid_event")
    is_problem(await send(home, cloudevent(""), kind=CE), 400, "invalid_event")
    is_problem(await send(home, cloudevent(), kind="application/json"), 415, "unsupported_type")
    is_problem(await send(home, cloudevent(), query="?trigger=nothing"), 404, "not_found")
    broken = await home.client.post("/api/events", content=b"{", headers={"content-type": CE})
    is_problem(broken, 400, "bad_request")
    assert await home.journaled() == []


async def test_the_journal_is_read(home: Home) -> None:
    for number in range(5):
        await send(home, cloudevent(f"e{number}", subject="s", data={"n": number}))
    first = (await home.client.get("/api/events?limit=2")).json()
    assert [item["id"] for item in first["items"]] == ["e4", "e3"]
    rest = (await home.client.get(f"/api/events?limit=9&cursor={quote(first['next'])}")).json()
    assert [item["id"] for item in rest["items"]] == ["e2", "e1", "e0"]
    assert rest["next"] is None
    assert (await home.client.get("/api/events?type=t.x&trigger=api&status=accepted")).json()[
        "items"
    ]
    assert (await home.client.get("/api/events?type=other")).json() == {"items": [], "next": None}


async def test_one_event_with_its_deliveries(home: Home) -> None:
    await home.journal.append("app", [Event(id="e/1 é", source="/s", type="t", time=NOW)])
    entry = await home.journal.get("e/1 é")
    record = DeliveryRecord(
        tree="onboarding",
        subscription="signed_up",
        key="u1",
        run_id="onboarding/u1",
        outcome="started",
        at=NOW,
    )
    await home.journal.settle(entry.seq, "delivered", [record])
    for path in ("e/1 é", quote("e/1 é", safe="")):
        shown = (await home.client.get(f"/api/events/{path}")).json()
        assert list(shown) == ["id", "trigger", "event", "received_at", "status", "deliveries"]
        assert shown["id"] == "e/1 é"
        assert shown["status"] == "delivered"
        assert shown["event"]["specversion"] == "1.0"
        assert shown["deliveries"] == [
            {
                "tree": "onboarding",
                "subscription": "signed_up",
                "key": "u1",
                "run_id": "onboarding/u1",
                "outcome": "started",
                "reason": None,
                "at": "2026-03-01T12:00:00Z",
            }
        ]
    assert (await home.client.get("/api/events?key=u1")).json()["items"][0]["id"] == "e/1 é"
    is_problem(await home.client.get("/api/events/none"), 404, "not_found")
    is_problem(await home.client.get("/api/events/e%2F1%20%C3%A9?trigger=x"), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=odd",
        "since=yesterday",
        "since=2026-01-01T00:00:00",
        "cursor=nonsense",
    ],
)
async def test_wrong_parameters(home: Home, query: str) -> None:
    is_problem(await home.client.get(f"/api/events?{query}"), 400, "bad_request")


# --- runs ---

IDS = [
    "onboarding/u1",
    "onboarding/a b",
    "onboarding/é💡",
    "onboarding/a//b",
    "onboarding/a/",
    "onboarding/cancel",
    "onboarding/u1/cancel",
    "onboarding/a%2Fb",
    "onboarding/100%",
    "onboarding/a?b#c",
    "onboarding/..",
    "onboarding/.",
    "onboarding/~e.1",
    "onboarding/a+b;c=d",
]


@pytest.mark.parametrize("run_id", IDS)
async def test_a_run_is_shown_whatever_its_key(home: Home, run_id: str) -> None:
    for other in IDS:
        home.runs.add(other)
    path = quote(run_id, safe="").replace(".", "%2E")
    shown = await home.client.get(f"/api/runs/{path}")
    assert shown.status_code == 200, shown.text
    assert shown.json()["id"] == run_id
    assert home.runs.done == []


@pytest.mark.parametrize("run_id", IDS)
async def test_a_run_is_cancelled_whatever_its_key(home: Home, run_id: str) -> None:
    for other in IDS:
        home.runs.add(other)
    path = quote(run_id, safe="").replace(".", "%2E")
    response = await home.client.post(f"/api/runs/{path}/cancel")
    assert (response.status_code, response.json()) == (202, {"id": run_id})
    assert home.runs.done == [("cancel", run_id)]


async def test_what_is_only_encoded_is_no_action(home: Home) -> None:
    home.runs.add("onboarding/u1")
    home.runs.add("onboarding/u1/cancel")
    encoded = await home.client.post("/api/runs/onboarding/u1%2Fcancel")
    is_problem(encoded, 404, "not_found")
    for path in ("onboarding/u1", "onboarding/u1/", "cancel", "onboarding/u1/resume"):
        is_problem(await home.client.post(f"/api/runs/{path}"), 404, "not_found")
    assert home.runs.done == []


async def test_the_other_actions(home: Home) -> None:
    home.runs.add("onboarding/u1")
    url = "/api/runs/onboarding/u1"
    await home.client.post(f"{url}/terminate", json={"reason": "wrong data"})
    await home.client.post(f"{url}/forward", json={"by": "24h"})
    assert home.runs.done == [
        ("terminate", "onboarding/u1", "wrong data"),
        ("forward", "onboarding/u1", timedelta(hours=24)),
    ]
    is_problem(await home.client.post(f"{url}/forward", json={}), 422, "invalid_duration")
    is_problem(await home.client.post(f"{url}/forward", json={"by": "1"}), 422, "invalid_duration")
    is_problem(await home.client.post(f"{url}/terminate", json=[1]), 400, "bad_request")
    is_problem(await home.client.post(f"{url}/terminate", content=b"{"), 400, "bad_request")
    is_problem(await home.client.post("/api/runs/no/run/cancel"), 404, "not_found")
    home.runs.can_forward = False
    is_problem(await home.client.post(f"{url}/forward", json={"by": "1h"}), 409, "conflict")


async def test_a_run_as_a_document(home: Home) -> None:
    home.runs.add(
        "onboarding/u1",
        status="running",
        started_at=NOW,
        waiting_for=["verified"],
        vars={"token": "not for here"},
        nodes={
            "do[0]": NodeState(type="email.send", status="succeeded", attempt=1, result={"id": 1}),
            "do[1]": NodeState(
                type="wait_for",
                id="w",
                status="failed",
                error=Failure(code="timeout", message="too late", path="do[1]"),
                memory={"inner": True},
            ),
        },
    )
    shown = (await home.client.get("/api/runs/onboarding/u1")).json()
    assert list(shown) == [
        "id",
        "tree",
        "key",
        "hash",
        "status",
        "started_at",
        "ended_at",
        "waiting_for",
        "nodes",
        "result",
        "error",
        "mailbox",
    ]
    assert shown["nodes"]["do[0]"] == {
        "type": "email.send",
        "id": None,
        "status": "succeeded",
        "started_at": None,
        "ended_at": None,
        "deadline": None,
        "attempt": 1,
        "result": {"id": 1},
        "error": None,
    }
    assert shown["nodes"]["do[1]"]["error"]["code"] == "timeout"
    is_problem(await home.client.get("/api/runs/onboarding/u2"), 404, "not_found")
    is_problem(await home.client.get("/api/runs/a%FF"), 400, "bad_request")


async def test_runs_are_listed(home: Home) -> None:
    for number in range(3):
        home.runs.add(f"onboarding/u{number}", status="running", waiting_for=["verified"])
    home.runs.add("order/o1", status="failed")
    first = (await home.client.get("/api/runs?tree=onboarding&limit=2")).json()
    assert [item["id"] for item in first["items"]] == ["onboarding/u0", "onboarding/u1"]
    assert list(first["items"][0]) == [
        "id",
        "tree",
        "key",
        "status",
        "started_at",
        "ended_at",
        "waiting_for",
    ]
    rest = (await home.client.get(f"/api/runs?tree=onboarding&cursor={first['next']}")).json()
    assert [item["id"] for item in rest["items"]] == ["onboarding/u2"]
    failed = (await home.client.get("/api/runs?status=failed")).json()
    assert [item["id"] for item in failed["items"]] == ["order/o1"]
    is_problem(await home.client.get("/api/runs?status=odd"), 400, "bad_request")


async def test_unreachable_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(run_id: str) -> None:
        raise Unreachable("Temporal does not answer at localhost:7233")

    monkeypatch.setattr(home.runs, "show", away)
    response = await home.client.get("/api/runs/a/b")
    is_problem(response, 503, "unreachable")
    assert int(response.headers["retry-after"]) > 0


# --- project ---


async def test_the_project_is_shown(home: Home) -> None:
    trees = (await home.client.get("/api/trees")).json()
    assert trees == {
        "items": [
            {
                "name": "onboarding",
                "hash": "h1",
                "title": "User onboarding",
                "description": None,
                "start": {"event": "signed_up", "kind": "webhook", "trigger": "app"},
            }
        ],
        "next": None,
        "writable": False,
    }
    tree = (await home.client.get("/api/trees/onboarding")).json()
    assert tree == {
        "name": "onboarding",
        "hash": "h1",
        "document": ONBOARDING,
    }
    is_problem(await home.client.get("/api/trees/none"), 404, "not_found")
    response = await home.client.get("/api/triggers")
    items = response.json()["items"]
    assert [{key: one[key] for key in ("name", "kind", "url")} for one in items] == [
        {"name": "app", "kind": "webhook", "url": "http://localhost:8080/hooks/app"},
        {"name": "nightly", "kind": "schedule", "url": None},
        {"name": "open", "kind": "webhook", "url": "http://localhost:8080/hooks/open"},
    ]
    before = items[0]["refused"].get("bad_signature", 0)
    await home.client.post("/hooks/app", json={"type": "x"})
    (app, *_) = (await home.client.get("/api/triggers")).json()["items"]
    assert app["refused"]["bad_signature"] == before + 1
    assert "s3cret" not in response.text


# --- who may call ---


@pytest.mark.parametrize("path", ["/api/runs", "/api/events", "/openapi.json", "/extra"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:8080", ""]
)
async def test_foreign_host_names(tmp_path: Path, path: str, host: str) -> None:
    @get("/extra", opt=ANYONE)
    async def extra() -> str:
        return "extra"

    async with open_home(tmp_path, extra_routes=[extra]) as home:
        assert (await home.client.get(path)).status_code == 200
        is_problem(await home.client.get(path, headers={"host": host}), 403, "forbidden")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "a.localhost"]
)
async def test_loopback_host_names(home: Home, host: str) -> None:
    assert (await home.client.get("/api/runs", headers={"host": host})).status_code == 200


async def test_allowed_host_names(tmp_path: Path) -> None:
    hosts = frozenset({"hub.example"})
    async with open_home(tmp_path, allowed_hosts=hosts) as home:
        good = {"host": "HUB.example:8443"}
        assert (await home.client.get("/api/runs", headers=good)).status_code == 200
        bad = {"host": "other.example"}
        assert (await home.client.get("/api/runs", headers=bad)).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "file://", "http://[", "x"]
)
async def test_pages_from_elsewhere_change_nothing(home: Home, origin: str) -> None:
    home.runs.add("onboarding/u1")
    headers = {"origin": origin}
    cancelled = await home.client.post("/api/runs/onboarding/u1/cancel", headers=headers)
    is_problem(cancelled, 403, "forbidden")
    sent = await home.client.post(
        "/api/events",
        content=msgspec.json.encode(cloudevent()),
        headers=headers | {"content-type": CE},
    )
    is_problem(sent, 403, "forbidden")
    assert home.runs.done == []
    assert await home.journaled() == []


async def test_the_hubs_own_page_may(home: Home) -> None:
    home.runs.add("onboarding/u1")
    for origin in ("http://localhost:8080", "http://LOCALHOST:8080"):
        response = await home.client.post(
            "/api/runs/onboarding/u1/cancel", headers={"origin": origin}
        )
        assert response.status_code == 202


# --- health, errors, description ---


async def test_health(tmp_path: Path) -> None:
    async def well() -> None:
        return None

    async with open_home(tmp_path, health={"journal": well, "temporal": well}) as home:
        alive = await home.client.get("/healthz", headers={"host": "10.0.0.7"})
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        assert (await home.client.head("/healthz")).status_code == 200
        ready = await home.client.get("/readyz", headers={"host": "10.0.0.7"})
        assert ready.status_code == 200
        assert ready.json()["status"] == "ready"
        assert [check["name"] for check in ready.json()["checks"]] == ["journal", "temporal"]


async def test_each_part_that_is_not_well_is_named(tmp_path: Path) -> None:
    async def away() -> None:
        raise Unreachable("Temporal does not answer")

    async def broken() -> None:
        raise RuntimeError("password hunter2")

    async def stuck() -> None:
        await asyncio.Event().wait()

    async def well() -> None:
        return None

    checks = {"temporal": away, "kafka": broken, "journal": stuck, "self": well}
    async with open_home(tmp_path, health=checks, check_timeout=0.01) as home:
        response = await home.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["status"] == "not_ready"
        found = {
            check["name"]: (check["ok"], check["detail"]) for check in response.json()["checks"]
        }
        assert found["temporal"] == (False, "Temporal does not answer")
        assert found["self"] == (True, None)
        assert found["journal"][0] is False
        assert found["kafka"][0] is False
        assert "hunter2" not in response.text


async def test_frameworks_errors_are_problems(home: Home) -> None:
    is_problem(await home.client.get("/nowhere"), 404, "not_found")
    wrong = await home.client.delete("/api/trees")
    is_problem(wrong, 405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


async def test_diagnostics_are_listed(tmp_path: Path) -> None:
    @get("/extra", opt=ANYONE)
    async def extra() -> str:
        raise InvalidDefinition(
            [
                Diagnostic(
                    message="no such node", path="do[0]", code="unknown_node", line=3, column=5
                )
            ]
        )

    async with open_home(tmp_path, extra_routes=[extra]) as home:
        problem = is_problem(await home.client.get("/extra"), 422, "invalid_definition")
        assert problem["errors"] == [
            {
                "message": "no such node",
                "path": "do[0]",
                "code": "unknown_node",
                "line": 3,
                "column": 5,
            }
        ]


async def test_the_description(home: Home) -> None:
    response = await home.client.get("/openapi.json")
    assert response.status_code == 200
    document = response.json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/hooks/{trigger}",
        "/callbacks/{token}",
        "/decisions/{token}",
        "/api/approvals",
        "/api/approvals/counts",
        "/api/approvals/{approval_id}",
        "/api/approvals/{approval_id}/decision",
        "/api/approvals/{approval_id}/delegation",
        "/healthz",
        "/readyz",
        "/api/events",
        "/api/events/{event_id}",
        "/api/events/{event_id}/explain",
        "/api/events/{event_id}/replay",
        "/api/runs",
        "/api/runs/{run_id}",
        "/api/runs/{run_id}/cancel",
        "/api/runs/{run_id}/live",
        "/api/runs/{run_id}/migrate",
        "/api/events/live",
        "/api/runs/{run_id}/terminate",
        "/api/runs/{run_id}/forward",
        "/api/trees",
        "/api/trees/{name}",
        "/api/trees/{name}/scenarios",
        "/api/trees/{name}/try",
        "/api/trees/{name}/validate",
        "/api/connections",
        "/api/connections/{name}/test",
        "/api/triggers",
        "/api/audit",
        "/api/overview",
        "/api/session",
        "/api/session/password",
        "/api/users",
        "/api/users/{name}",
        "/api/tokens",
        "/api/tokens/{token_id}",
        "/api/language",
        "/api/schedules",
        "/api/schedules/{tree}/{event}",
        "/api/schedules/{tree}/{event}/times",
        "/api/schedules/{tree}/{event}/trigger",
        "/api/schedules/{tree}/{event}/pause",
        "/api/schedules/{tree}/{event}/resume",
        "/api/schedules/{tree}/{event}/backfill",
    }
    known = document["components"]["schemas"]

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for item in value.values() for ref in references(item)]
        if isinstance(value, list):
            return [ref for item in value for ref in references(item)]
        return []

    for reference in references(document):
        assert reference.rpartition("/")[2] in known
    operations = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(operations) == len(set(operations))
    for path, operation in document["paths"].items():
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            for described in operation.values():
                assert name in [p["name"] for p in described["parameters"]], path
