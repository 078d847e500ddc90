"""What those who watch the hub see: one tree of spans, and what is counted."""

from __future__ import annotations

from pathlib import Path

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hub.api import Services, create_app
from hub.links import Links
from hub.routing.router import Router
from hub.telemetry.metrics import REGISTRY
from hub.telemetry.tracing import Tracing
from hub.temporal.dev_server import DevServer
from tests.http_peer import answer, http_peer
from tests.parts import hub_of, write_project

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TREE = """
tree: traced
events:
  ordered: {webhook: app, where: event.type == "ordered", key: event.data.user_id}
start: ordered
do:
  - email.send: {to: ada@example.com, subject: Thanks, text: "for ${{ run.key }}"}
  - emit: {trigger: app, type: told, data: {user_id: "${{ run.key }}"}}
  - http.get: {url: URL}
"""


async def test_one_trace_from_the_webhook_to_the_mail(tmp_path: Path, server: DevServer) -> None:
    exporter = InMemorySpanExporter()
    async with http_peer(lambda _: answer(200, {})) as peer:
        project = write_project(tmp_path, traced=TREE.replace("URL", f"{peer.url}/told"))
        with (project / "hub.yaml").open("a") as settings:
            settings.write("  http: {http: {allow: [127.0.0.1]}}\n")
        with Tracing("test", processors=[SimpleSpanProcessor(exporter)], env={}):
            async with hub_of(project, server.address) as hub:
                router = Router(hub.project.trees.values())
                services = Services(
                    intake=hub.intake,
                    journal=hub.journal,
                    runs=hub.runs,
                    links=Links([b"k" * 32], "http://localhost"),
                    project=lambda: hub.project,
                    router=lambda: router,
                    base_url="http://localhost",
                )
                transport = httpx.ASGITransport(create_app(services))
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://localhost"
                ) as client:
                    response = await client.post(
                        "/hooks/app",
                        json={"id": "o1", "type": "ordered", "data": {"user_id": "u1"}},
                        headers={"traceparent": CALLER},
                    )
                assert response.status_code == 202
                await hub.settled("o1")
                await hub.state(hub.run_id("u1"), "succeeded")
                assert len(hub.mails()) == 1
        asked = peer.last
    spans = {span.name: span for span in exporter.get_finished_spans()}
    webhook = spans["webhook app"]
    assert webhook.parent is not None
    assert format(webhook.parent.span_id, "016x") == "b7ad6b7169203331"
    for name in ("deliver traced", "action email.send", "action hub.emit", "action http.get"):
        assert parent(spans[name]) == webhook.context.span_id, name
    assert {format(one.context.trace_id, "032x") for one in spans.values()} == {CALLER[3:35]}
    mail = spans["action email.send"].attributes
    assert mail is not None
    assert (mail["hub.run_id"], mail["hub.node"]) == ("traced/u1", "do[0]")
    # Who is asked by an action may go on with the trace.
    assert asked.headers["traceparent"].split("-")[2] == format(
        spans["action http.get"].context.span_id, "016x"
    )
    assert counted("hub_events_accepted_total", trigger="app", duplicate="no") >= 2
    assert counted("hub_deliveries_total", tree="traced", outcome="started") == 1
    assert counted("hub_events_settled_total", trigger="app", status="unmatched") >= 1
    assert counted("hub_actions_total", action="email.send", outcome="ok") >= 1
    assert counted("hub_delivery_seconds_count", trigger="app") >= 2


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
