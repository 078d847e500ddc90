"""Results that no Temporal payload could hold go from action to action all the same; and what
actions are given and give holds no secret, in a real run's history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hub.temporal.connect import connect
from hub.temporal.dev_server import DevServer
from tests.contracts.connector import PLANTED
from tests.http_peer import Received, answer, http_peer
from tests.parts import hub_of, write_project

TREE = """
tree: report
events:
  asked: {webhook: app, where: event.type == "asked", key: event.data.user_id}
start: asked
do:
  - http.get: {url: /large}
    id: large
  - check: steps.large.status == 200
  - http.post: {url: /copy, json: {nested: ["${{ steps.large.body }}"]}}
  - render.text: {template: count}
    id: counted
  - http.get: {url: /echo, expect: [500]}
    id: echo
  - always:
      - http.get: {url: /fails}
        retry: 1
"""

CONNECTIONS = """
triggers: {app: {webhook: {provider: none}}}
connections:
  peer: {http: {base_url: URL, auth: {bearer: PLANTED}, max_response: 8000000}}
"""


async def test_three_megabytes_go_through_a_run_and_no_secret_does(
    tmp_path: Path, server: DevServer
) -> None:
    large = {"items": ["0123456789" * 10] * 30_000}

    def answers(request: Received) -> Any:
        match request.path:
            case "/large":
                return large
            case "/copy":
                return {"bytes": len(request.body)}
            case "/echo":
                return answer(500, {"you": request.headers["authorization"]})
            case _:
                return answer(400, f"not with {request.headers['authorization']}")

    async with http_peer(answers) as peer:
        write_project(tmp_path, report=TREE)
        settings = CONNECTIONS.replace("URL", peer.url).replace("PLANTED", PLANTED)
        (tmp_path / "hub.yaml").write_text(settings)
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "count.txt").write_text("{{ steps.large.body['items']|length }}")
        async with hub_of(tmp_path, server.address) as hub:
            await hub.settled(await hub.send("asked", "u1"))
            state = await hub.state(hub.run_id("u1"), "succeeded", "failed")
            assert state.status == "succeeded", state.error
            client = await connect(server.address)
            history = await client.get_workflow_handle(hub.run_id("u1")).fetch_history()
    copied = next(request for request in peer.received if request.path == "/copy")
    assert copied.json == {"nested": [large]}
    kept = b"".join(event.SerializeToString() for event in history.events)
    assert b"[redacted]" in kept
    assert b"0123456789" * 10 not in kept
    assert PLANTED.encode() not in kept
    assert PLANTED not in json.dumps([str(node) for node in state.nodes.values()])
    results = {node.id: node.result for node in state.nodes.values() if node.id}
    assert results["large"]["body"].keys() == {"$blob", "size"}
    assert results["counted"] == {"text": "30000"}
    assert results["echo"]["body"] == {"you": "Bearer [redacted]"}
