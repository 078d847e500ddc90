"""The command's way to a running hub: its HTTP interface."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from hub import __version__
from hub.errors import (
    Diagnostic,
    HubError,
    InvalidDefinition,
    InvalidSetting,
    Unreachable,
    WrongUsage,
)

__all__ = ["Answer", "HubClient"]

_DEFAULT_PORT = "8080"
_SILENCE = 50.0
"""Seconds without a sign of life, of which a hub's streams give one every 15, that mean it is gone."""
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0)


class Answer:
    """What the hub answered: `text` is its JSON as it came, `data` the same, read."""

    def __init__(self, text: str, data: Any) -> None:
        self.text = text
        self.data = data


class HubClient:
    """Talks to the hub at `HUB_URL` with the token `HUB_TOKEN`, where one is needed.

    Without `HUB_URL` that is the hub of this machine, at `HUB_PORT`. Every method raises
    `Unreachable` when nobody answers, and a `HubError` with the hub's own words when it refuses.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        env: Mapping[str, str] = os.environ,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = (url or _url_from(env)).rstrip("/")
        token = token or env.get("HUB_TOKEN")
        host = _host_of(self.url)
        headers = {"accept": "application/json", "user-agent": f"hub/{__version__}"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(30.0, connect=5.0),
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=not _is_loopback(host),
            # Certificates that are not needed take longer to read than most answers take to come.
            verify=not self.url.startswith("http://"),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, *path: str, **parameters: object) -> Answer:
        """Read `/api/<path>`; parameters that are None are left out."""
        wanted = {n: str(v) for n, v in parameters.items() if v is not None}
        return self._send("GET", path, params=wanted)

    def post(
        self,
        *path: str,
        body: object = None,
        content_type: str = "application/json",
        **parameters: object,
    ) -> Answer:
        """Send a JSON body to `/api/<path>`."""
        wanted = {n: str(v) for n, v in parameters.items() if v is not None}
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return self._send(
            "POST", path, params=wanted, content=content, headers={"content-type": content_type}
        )

    def send(self, method: str, *path: str, body: object = None) -> Answer:
        """Any method to `/api/<path>`, with a JSON body where there is one."""
        options: dict[str, Any] = {}
        if body is not None:
            options["content"] = json.dumps(body, ensure_ascii=False).encode()
            options["headers"] = {"content-type": "application/json"}
        return self._send(method, path, **options)

    def follow(self, *path: str, **parameters: object) -> Iterator[tuple[str, Any]]:
        """The server-sent events of `/api/<path>`: their names and data, until the hub says `end`.

        A stream that breaks off is taken up where it was. Raises `Unreachable` when the hub does
        not come back within some fifteen seconds.
        """
        wanted = {n: str(v) for n, v in parameters.items() if v is not None}
        headers = {"accept": "text/event-stream"}
        failures = 0
        while True:
            try:
                with self._http.stream(
                    "GET",
                    self._address(path),
                    params=wanted,
                    headers=headers,
                    timeout=httpx.Timeout(_SILENCE, connect=5.0),
                ) as response:
                    if response.status_code == 204:
                        return
                    if response.status_code != 200:
                        response.read()
                        if response.status_code != 503 or "last-event-id" not in headers:
                            raise self._refusal(response, _json_of(response))
                    for name, event_id, data in _events_of(response.iter_lines()):
                        failures = 0
                        if event_id is not None:
                            headers["last-event-id"] = event_id
                        if name == "end":
                            return
                        yield name, json.loads(data)
            except httpx.TransportError as error:
                if "last-event-id" not in headers or failures == len(_PAUSES):
                    raise Unreachable(self._nobody(error)) from None
            if failures == len(_PAUSES):
                raise Unreachable(f"the hub at {self.url} does not follow it any more")
            time.sleep(_PAUSES[failures])
            failures += 1

    def _address(self, path: tuple[str, ...]) -> str:
        # A run's id holds a slash and stands in the path as it is.
        return f"{self.url}/api/" + "/".join(quote(part, safe="/") for part in path)

    def _send(self, method: str, path: tuple[str, ...], **options: Any) -> Answer:
        try:
            response = self._http.request(method, self._address(path), **options)
        except httpx.TransportError as error:
            raise Unreachable(self._nobody(error)) from None
        data = _json_of(response)
        if response.status_code == 204 or (response.is_success and data is not None):
            return Answer(response.text, data)
        raise self._refusal(response, data)

    def _nobody(self, error: httpx.TransportError) -> str:
        why = "in time " if isinstance(error, httpx.TimeoutException) else ""
        return (
            f"the hub at {self.url} does not answer {why}- is `hub dev` running? "
            "HUB_URL says where the hub is."
        )

    def _refusal(self, response: httpx.Response, data: Any) -> HubError:
        if not isinstance(data, dict) or "code" not in data:
            return Unreachable(
                f"what answers at {self.url} is no hub (HTTP {response.status_code}); "
                "HUB_URL says where the hub is"
            )
        detail = str(data.get("detail") or data.get("title") or data["code"])
        if data["code"] == InvalidDefinition.code:
            known = {"message", "path", "code", "severity", "suggestion", "file", "line", "column"}
            return InvalidDefinition(
                [
                    Diagnostic(**{n: v for n, v in fault.items() if n in known})
                    for fault in data.get("errors", ())
                ]
            )
        if response.status_code == 401:
            detail += " - HUB_TOKEN is the token that is sent"
        error = Unreachable(detail) if data["code"] == Unreachable.code else HubError(detail)
        if response.status_code in (400, 415, 422):
            error = WrongUsage(detail)
        return error


def _events_of(lines: Iterator[str]) -> Iterator[tuple[str, str | None, str]]:
    """Events as they come: name, id and data. https://html.spec.whatwg.org/#event-stream-interpretation"""
    name: str = "message"
    event_id: str | None = None
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, event_id, "\n".join(data)
            name, event_id, data = "message", None, []
        elif field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            data.append(value)


def _json_of(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _url_from(env: Mapping[str, str]) -> str:
    return env.get("HUB_URL") or f"http://127.0.0.1:{env.get('HUB_PORT') or _DEFAULT_PORT}"


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        valid = None
    if not valid:
        raise InvalidSetting(f"HUB_URL is {url!r}; write an address such as http://127.0.0.1:8080")
    return str(parts.hostname)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
