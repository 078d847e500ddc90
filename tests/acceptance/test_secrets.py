"""Secrets are planted everywhere, everything fails, and then all that was written anywhere is searched."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.acceptance.hub_process import HubProcess

PLANTED = {
    name: f"pl4nted/{name.lower()}+{number}"
    for number, name in enumerate(
        (
            *("HOOK_SECRET", "SLACK_SIGNING", "SLACK_TOKEN", "API_TOKEN", "BASIC_PASSWORD"),
            *("DB_PASSWORD", "CLIENT_SECRET", "CHAT_HOOK", "GITHUB_TOKEN", "HUB_SECRET_KEY"),
        )
    )
}
PAGES = (
    *("/", "/api/events", "/api/runs", "/api/trees", "/api/trees/leaks", "/api/triggers"),
    *("/api/connections", "/api/connectors", "/api/schedules", "/api/approvals", "/api/audit"),
    *("/api/events/e1", "/api/events/e1/explain", "/api/runs/leaks/k1", "/healthz", "/readyz"),
    *("/metrics", "/openapi.json", "/dev/mail"),
)


class _Hostile(BaseHTTPRequestHandler):
    """Fails, and says back whatever it was told."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        told = str(self.headers) + self.path + self.rfile.read(length).decode()
        body = f"no: {told}".encode()
        self.send_response(400)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-told", self.headers.get("authorization", ""))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def hostile() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_project(folder: Path, url: str) -> Path:
    (folder / "trees").mkdir(parents=True)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in PLANTED.items()))
    (folder / "hub.yaml").write_text(f"""
name: leaks
triggers:
  app: {{webhook: {{provider: none}}}}
  signed: {{webhook: {{secret: "${{{{ env.HOOK_SECRET }}}}"}}}}
  slack: {{webhook: {{provider: slack, secret: "${{{{ env.SLACK_SIGNING }}}}"}}}}
connections:
  api: {{http: {{base_url: "{url}", auth: {{bearer: "${{{{ env.API_TOKEN }}}}"}}}}}}
  down:
    http:
      base_url: "http://127.0.0.1:1"
      auth: {{basic: {{username: hub, password: "${{{{ env.BASIC_PASSWORD }}}}"}}}}
  oauth:
    http:
      base_url: "{url}"
      auth:
        oauth2:
          token_url: "{url}/token"
          client_id: hub
          client_secret: "${{{{ env.CLIENT_SECRET }}}}"
  db: {{sql: {{url: "postgresql://hub:${{{{ env.DB_PASSWORD }}}}@127.0.0.1:1/x"}}}}
  team: {{slack: {{token: "${{{{ env.SLACK_TOKEN }}}}", channel: C1, api_url: "{url}"}}}}
  chat: {{discord: {{webhook_url: "{url}/${{{{ env.CHAT_HOOK }}}}"}}}}
  code: {{github: {{token: "${{{{ env.GITHUB_TOKEN }}}}", api_url: "{url}"}}}}
""")
    (folder / "trees" / "leaks.yaml").write_text("""
tree: leaks
events:
  asked: {webhook: app, where: event.type == "asked", key: event.data.id}
start: asked
do:
  - parallel:
      - always: {http.get: {url: /echo}, connection: api, retry: {attempts: 1}}
      - always: {http.get: {url: /}, connection: down, retry: {attempts: 1}}
      - always: {http.get: {url: /}, connection: oauth, retry: {attempts: 1}}
      - always: {sql.query: {sql: select 1}, connection: db, retry: {attempts: 1}}
      - always: {slack.post: {text: Hi}, connection: team, retry: {attempts: 1}}
      - always: {discord.post: {text: Hi}, connection: chat, retry: {attempts: 1}}
      - always:
          github.comment: {repo: a/b, issue: 1, body: Hi}
          connection: code
          retry: {attempts: 1}
  - approval:
      title: Is it well hidden?
      from: [ada@example.com]
      notify: {slack: {}}
""")
    return folder


def written(value: str) -> list[bytes]:
    """The secret in the ways in which it could stand somewhere."""
    plain = value.encode()
    coded = [base64.b64encode(b"x" * n + plain)[4 if n else 0 : -4] for n in range(3)]
    return [plain, quote(value, safe="").encode(), *(text for text in coded if len(text) > 12)]


@pytest.mark.timeout(240)
def test_no_planted_secret_is_written_anywhere(tmp_path: Path) -> None:
    with hostile() as url:
        project = write_project(tmp_path / "leaks", url)
        # Made once: reading the system's certificates takes longer than all else.
        with HubProcess(project) as hub, httpx.Client(trust_env=False, verify=False) as client:
            event = {"id": "e1", "type": "asked", "data": {"id": "k1"}}
            assert client.post(f"{hub.url}/hooks/app", json=event).status_code == 202
            for name in ("signed", "slack"):
                signatures = {"x-signature": "x", "x-slack-signature": "v0=0"}
                refused = client.post(f"{hub.url}/hooks/{name}", content=b"{}", headers=signatures)
                assert refused.status_code == 401

            def shown() -> dict[str, Any]:
                answer = client.get(f"{hub.url}/api/runs/leaks/k1")
                return dict(answer.json()) if answer.status_code == 200 else {}

            def mails() -> list[dict[str, Any]]:
                inbox = f"{hub.url}/dev/mail"
                answer = client.get(inbox, headers={"accept": "application/json"})
                return list(answer.json()["items"])

            hub.until(lambda: shown().get("waiting_for") == ["approval"], "all to fail")
            hub.until(mails, "the mail with the link")
            nodes = shown()["nodes"]
            failed = [path for path, node in nodes.items() if node["error"]]
            assert len([path for path in failed if path.endswith(".always")]) == 7, nodes
            seen = {page: client.get(hub.url + page).content for page in PAGES}
            (link,) = mails()[0]["links"]
            seen["the page to decide on"] = client.get(link).content
            seen["hub doctor"] = hub.hub("doctor", str(project), code=None).encode()
            assert hub.stop() == 0
            seen["the screen"] = hub.screen().encode()
        # Journal, histories, logs and mails; the inputs and outcomes of every action among them.
        for file in (project / ".hub").rglob("*"):
            if file.is_file():
                seen[file.name] = file.read_bytes()
    histories = seen["temporal.db"] + seen.get("temporal.db-wal", b"")
    assert b"slack.post" in histories, "histories can be read, so what is not seen is not there"
    assert b"leaks" in seen["journal.db"]
    found = [
        (name, where)
        for name, value in PLANTED.items()
        for where, content in seen.items()
        if any(text in content for text in written(value))
    ]
    assert found == []
