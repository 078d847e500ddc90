"""A schema registry in a process of its own, which speaks the part of Confluent's protocol that is used.

`python -m tests.registry PORT [USER:PASSWORD]`. Schemas are registered by `POST
/subjects/{subject}/versions` and are read by their ids; both are kept in memory.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx

from hub.ports import find_free

__all__ = ["RegistryServer", "registry_server"]

_KIND = "application/vnd.schemaregistry.v1+json"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    login: str | None = None
    schemas: list[dict[str, Any]] = []  # noqa: RUF012  (one of the process)
    subjects: dict[str, list[int]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        if not self._may():
            return
        match [unquote(part) for part in self.path.strip("/").split("/")]:
            case ["schemas", "ids", number]:
                index = int(number) - 1
                if 0 <= index < len(self.schemas):
                    self._say(200, self.schemas[index])
                else:
                    self._say(404, {"error_code": 40403, "message": "Schema not found"})
            case ["subjects", subject, "versions", version]:
                ids = self.subjects.get(subject, [])
                if int(version) <= len(ids):
                    found = self.schemas[ids[int(version) - 1] - 1]
                    self._say(200, {**found, "subject": subject, "id": ids[int(version) - 1]})
                else:
                    self._say(404, {"error_code": 40401, "message": "Subject not found"})
            case _:
                self._say(404, {"error_code": 404, "message": "HTTP 404 Not Found"})

    def do_POST(self) -> None:
        if not self._may():
            return
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        _, subject, _ = self.path.strip("/").split("/")
        # As the real one does: of Avro the kind is left out.
        given = {
            name: body[name] for name in ("schema", "schemaType", "references") if name in body
        }
        self.schemas.append({n: v for n, v in given.items() if (n, v) != ("schemaType", "AVRO")})
        self.subjects.setdefault(unquote(subject), []).append(len(self.schemas))
        self._say(200, {"id": len(self.schemas)})

    def _may(self) -> bool:
        wanted = None if self.login is None else base64.b64encode(self.login.encode()).decode()
        if wanted is None or self.headers.get("authorization") == f"Basic {wanted}":
            return True
        self._say(401, {"error_code": 401, "message": "Unauthorized"})
        return False

    def _say(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", _KIND)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@dataclass
class RegistryServer:
    """The running registry. It forgets nothing when it is stopped and started again."""

    port: int
    login: str | None = None
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, with all that was registered before."""
        login = [] if self.login is None else [self.login]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.registry", str(self.port), *login],
            cwd=Path(__file__).parents[1],
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with self._client() as client:
                    client.get("/")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the registry does not start"
                time.sleep(0.05)
        before, self.sent = self.sent, []
        for subject, schema in before:
            self._register(subject, schema)

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def register(self, subject: str, schema: Any, kind: str = "AVRO", **more: Any) -> int:
        """Register a schema; its id."""
        return self._register(subject, {"schema": json.dumps(schema), "schemaType": kind, **more})

    def _register(self, subject: str, body: dict[str, Any]) -> int:
        self.sent.append((subject, body))
        with self._client() as client:
            answer = client.post(f"/subjects/{quote(subject, safe='')}/versions", json=body)
        number: int = answer.raise_for_status().json()["id"]
        return number

    def _client(self) -> httpx.Client:
        user = None if self.login is None else tuple(self.login.split(":", 1))
        return httpx.Client(base_url=self.url, auth=user, trust_env=False)  # type: ignore[arg-type]


@contextmanager
def registry_server(login: str | None = None) -> Iterator[RegistryServer]:
    """A registry on a free port."""
    server = RegistryServer(find_free(), login)
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    _Handler.login = sys.argv[2] if len(sys.argv) > 2 else None
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
