"""github: comment, set a commit's status, start workflows.

    connections:
      github:
        github: {token: "${{ env.GITHUB_TOKEN }}"}

Source: GitHub's REST API, version 2022-11-28.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta

from connectors.http.client import Ask, Client
from connectors.http.settings import Auth, check_url
from connectors.http.settings import Settings as HttpSettings
from hub.connector import Call, Connector, action
from hub.errors import ActionFailed

__all__ = ["Comment", "Commented", "Dispatch", "Dispatched", "GitHub", "Settings", "Status"]

_Repo = Annotated[
    Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")
    ],
    Meta(description="The repository: `owner/name`"),
]
_T = TypeVar("_T")
_LOOKS_BACK = timedelta(days=1)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """An account at GitHub, or at a GitHub Enterprise server."""

    token: Annotated[
        str,
        Meta(min_length=1, description="A fine-grained token, or that of an app's installation"),
    ]
    api_url: Annotated[
        str, Meta(description="The API; of an Enterprise server `https://host/api/v3`")
    ] = "https://api.github.com"
    timeout: Annotated[
        float, Meta(gt=0, le=300, description="Longest time for one request, in seconds")
    ] = 20.0

    def __post_init__(self) -> None:
        check_url("api_url", self.api_url)


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment on an issue or a pull request."""

    repo: _Repo
    issue: Annotated[int, Meta(ge=1, description="Number of the issue or pull request")]
    body: Annotated[
        str, Meta(min_length=1, max_length=65_000, description="The comment, in Markdown")
    ]


class Commented(msgspec.Struct, frozen=True, kw_only=True):
    """The comment as it stands there."""

    id: Annotated[int, Meta(description="Id of the comment")]
    url: Annotated[str, Meta(description="Its page")]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a commit."""

    repo: _Repo
    sha: Annotated[str, Meta(pattern="^[0-9a-f]{7,64}$", description="The commit")]
    state: Annotated[
        Literal["pending", "success", "failure", "error"], Meta(description="How it stands")
    ]
    context: Annotated[str, Meta(min_length=1, description="Whose word this is")] = "hub"
    description: Annotated[
        Annotated[str, Meta(max_length=140)] | None, Meta(description="A line about it")
    ] = None
    url: Annotated[str | None, Meta(description="Page with more; the run's own when left out")] = (
        None
    )


class StatusSet(msgspec.Struct, frozen=True, kw_only=True):
    """The status as it was set."""

    id: Annotated[int, Meta(description="Id of the status")]


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """Workflows to start: either one by its file, or all that wait for an event."""

    repo: _Repo
    workflow: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")] | None,
        Meta(description="Start this one, by its file name or id; it has `on: workflow_dispatch`"),
    ] = None
    ref: Annotated[str, Meta(min_length=1, description="Branch or tag that it runs on")] = "main"
    inputs: Annotated[dict[str, str | int | float | bool], Meta(description="Its inputs")] = {}
    event: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)] | None,
        Meta(description="Start those that have `on: repository_dispatch` with this type"),
    ] = None
    payload: Annotated[dict[str, Any], Meta(description="The event's `client_payload`")] = {}

    def __post_init__(self) -> None:
        if (self.workflow is None) == (self.event is None):
            raise ValueError("either `workflow` or `event` is required")


class Dispatched(msgspec.Struct, frozen=True, kw_only=True):
    """It was asked for; GitHub does not say which run it becomes."""

    accepted: Annotated[bool, Meta(description="Always true")] = True


class GitHub(Connector):
    """Comments, sets statuses and starts workflows at GitHub."""

    name: ClassVar[str] = "github"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        http = HttpSettings(
            base_url=settings.api_url,
            auth=Auth(bearer=settings.token),
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            timeout=settings.timeout,
            max_response=8 * 1024 * 1024,
            idempotency_header=None,
        )
        self._client = Client(http, project)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def address(self) -> str | None:
        """The API."""
        return self._client.address()

    async def check(self) -> str:
        """Ask how many requests are left, which costs none."""
        return await self._client.check("GET", "rate_limit")

    @action(timeout=timedelta(minutes=10))
    async def comment(self, given: Comment, call: Call) -> Commented:
        """Comment on an issue or a pull request.

        The comment carries an invisible mark, so that a repeated attempt finds the one that an
        attempt before has left, and leaves no second.
        """
        path = f"repos/{given.repo}/issues/{given.issue}/comments"
        mark = f"<!-- hub:{hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:32]} -->"
        if call.attempt > 1:
            since = (datetime.now(UTC) - _LOOKS_BACK).strftime("%Y-%m-%dT%H:%M:%SZ")
            for page in range(1, 11):
                query = {"since": since, "per_page": 100, "page": page}
                found = await self._send("GET", path, call, query=query)
                for one in found if isinstance(found, list) else []:
                    if isinstance(one, dict) and mark in str(one.get("body")):
                        return _read(one, Commented, "html_url")
                if not isinstance(found, list) or len(found) < 100:
                    break
                call.heartbeat()
        body = {"body": f"{given.body}\n\n{mark}"}
        return _read(await self._send("POST", path, call, body), Commented, "html_url")

    @action(timeout=timedelta(minutes=10))
    async def status(self, given: Status, call: Call) -> StatusSet:
        """Set the status of a commit. Set again it is the same."""
        url = given.url or call.run.url
        body = {"state": given.state, "context": given.context, "description": given.description}
        if url is not None:
            body["target_url"] = url
        path = f"repos/{given.repo}/statuses/{given.sha}"
        return _read(await self._send("POST", path, call, body), StatusSet)

    @action(timeout=timedelta(minutes=10))
    async def dispatch(self, given: Dispatch, call: Call) -> Dispatched:
        """Start workflows.

        GitHub has no way to recognise a repeated call: one whose answer was lost starts them again.
        """
        if given.workflow is not None:
            path = f"repos/{given.repo}/actions/workflows/{given.workflow}/dispatches"
            inputs = {k: msgspec.to_builtins(v) for k, v in given.inputs.items()}
            texts = {k: v if isinstance(v, str) else msgspec.json.encode(v).decode()
                     for k, v in inputs.items()}  # fmt: skip
            await self._send("POST", path, call, {"ref": given.ref, "inputs": texts})
        else:
            path = f"repos/{given.repo}/dispatches"
            body = {"event_type": given.event, "client_payload": given.payload}
            await self._send("POST", path, call, body)
        return Dispatched()

    async def _send(
        self,
        method: str,
        path: str,
        call: Call,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Any:
        answer = await self._client.send(
            Ask(
                method=method,
                url=path,
                query=query or {},
                idempotency_key=call.idempotency_key,
                content=None if body is None else msgspec.json.encode(body),
                content_type="application/json",
            )
        )
        return answer.value("GitHub")[0]


def _read(value: Any, kind: type[_T], url: str = "url") -> _T:
    given = {"id": value.get("id"), "url": value.get(url)} if isinstance(value, dict) else None
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError:
        raise ActionFailed("http_garbage", "GitHub does not answer as it should") from None
