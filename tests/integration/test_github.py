from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.github import GitHub
from hub.connections import Connections
from hub.connector import Connector, RunRef
from hub.errors import ActionFailed, ActionRefused
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall
from tests.http_peer import Received, answer, http_peer

SECRET = "${{ env.PLANTED }}"


class Server:
    """The part of GitHub's API that is used; `lose` answers are lost on their way."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.lose = 0

    def __call__(self, request: Received) -> Any:
        if request.headers.get("authorization") != f"Bearer {PLANTED}":
            return answer(401, {"message": "Bad credentials"})
        if request.path == "/api/v3/repos/o/r/issues/7/comments":
            if request.method == "GET":
                page = int(request.query["page"][0])
                return self.comments[(page - 1) * 100 : page * 100]
            number = len(self.comments) + 1
            url = f"https://github.example/o/r/issues/7#{number}"
            self.comments.append({"id": number, "html_url": url, "body": request.json["body"]})
            if self.lose:
                self.lose -= 1
                return b""
            return answer(201, self.comments[-1])
        if request.path == "/api/v3/repos/o/r/statuses/abcdef0":
            return answer(201, {"id": 5})
        return answer(204)


async def call(project: Path, url: str, action: str, attempt: int = 1, **arguments: Any) -> Any:
    settings = {"token": SECRET, "api_url": f"{url}/api/v3"}
    connections = Connections(project, {"it": {"github": settings}}, {"PLANTED": PLANTED})
    run = RunRef(id="tree/key", tree="tree", url="https://hub.example/runs/tree/key")
    try:
        given = GivenCall(project, attempt=attempt, run=run)
        return await connections.run(f"github.{action}", arguments, given)
    finally:
        await connections.close()


async def test_a_comment_whose_answer_was_lost_is_not_made_twice(tmp_path: Path) -> None:
    server = Server()
    server.comments = [{"id": n, "html_url": "u", "body": "other"} for n in range(150)]
    server.lose = 1
    comment: dict[str, Any] = {"repo": "o/r", "issue": 7, "body": "Done"}
    async with http_peer(server) as peer:
        with pytest.raises(ActionFailed) as caught:
            await call(tmp_path, peer.url, "comment", **comment)
        assert caught.value.retryable
        got = await call(tmp_path, peer.url, "comment", attempt=2, **comment)
        again = await call(tmp_path, peer.url, "comment", attempt=3, **comment)
    assert got == again == {"id": 151, "url": "https://github.example/o/r/issues/7#151"}
    assert len(server.comments) == 151
    assert server.comments[-1]["body"].startswith("Done\n\n<!-- hub:")
    assert "tree/key" not in server.comments[-1]["body"]


async def test_a_retry_whose_first_attempt_never_came_comments(tmp_path: Path) -> None:
    server = Server()
    async with http_peer(server) as peer:
        await call(tmp_path, peer.url, "comment", attempt=2, repo="o/r", issue=7, body="Done")
    assert len(server.comments) == 1


async def test_a_status_links_to_the_run(tmp_path: Path) -> None:
    async with http_peer(Server()) as peer:
        got = await call(
            tmp_path, peer.url, "status", repo="o/r", sha="abcdef0", state="success", context="hub"
        )
    assert got == {"id": 5}
    assert peer.last.json == {
        "state": "success",
        "context": "hub",
        "description": None,
        "target_url": "https://hub.example/runs/tree/key",
    }


async def test_workflows_are_started_by_file_or_by_event(tmp_path: Path) -> None:
    async with http_peer(Server()) as peer:
        await call(
            tmp_path, peer.url, "dispatch", repo="o/r", workflow="deploy.yml", ref="v1",
            inputs={"n": 1, "dry": True, "to": "prod"},
        )  # fmt: skip
        assert peer.last.path == "/api/v3/repos/o/r/actions/workflows/deploy.yml/dispatches"
        assert peer.last.json == {"ref": "v1", "inputs": {"n": "1", "dry": "true", "to": "prod"}}
        await call(tmp_path, peer.url, "dispatch", repo="o/r", event="go", payload={"a": [1]})
    assert peer.last.path == "/api/v3/repos/o/r/dispatches"
    assert peer.last.json == {"event_type": "go", "client_payload": {"a": [1]}}


@pytest.mark.parametrize("repo", ["o/..", "../x", "o/r/../../user", "o", "o/r?x", "/o/r", "o/."])
async def test_what_is_no_repository_is_refused(tmp_path: Path, repo: str) -> None:
    async with http_peer(Server()) as peer:
        with pytest.raises(ActionRefused) as caught:
            await call(tmp_path, peer.url, "dispatch", repo=repo, event="go")
    assert caught.value.failure == "invalid_input"
    assert peer.received == []


@pytest.mark.parametrize(
    ("headers", "retryable", "wait"),
    [
        ({"x_ratelimit_remaining": "0", "x_ratelimit_reset": "4102444800"}, True, 86400.0),
        ({"retry_after": "60"}, True, 60.0),
        ({"x_ratelimit_remaining": "17"}, False, None),
    ],
)
async def test_its_limits_are_told_from_its_refusals(
    tmp_path: Path, headers: dict[str, str], retryable: bool, wait: float | None
) -> None:
    async with http_peer(lambda _: answer(403, {"message": "no"}, **headers)) as peer:
        with pytest.raises(ActionFailed) as caught:
            await call(tmp_path, peer.url, "dispatch", repo="o/r", event="go")
    assert (caught.value.retryable, caught.value.retry_after) == (retryable, wait)


class TestGitHub(ConnectorContract):
    kind: ClassVar[type[Connector]] = GitHub
    settings: ClassVar[Mapping[str, Any]] = {"token": "token"}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "github.comment": {"repo": "o/r", "issue": 1, "body": "a"},
        "github.status": {"repo": "o/r", "sha": "abcdef0", "state": "error"},
        "github.dispatch": {"repo": "o/r", "event": "go"},
    }

    @pytest.fixture
    async def failing_calls(self) -> AsyncIterator[Sequence[FailingCall]]:
        def answers(request: Received) -> Any:
            sent = request.headers["authorization"]
            match request.path.split("/")[1]:
                case "garbage":
                    return sent.encode()
                case "odd":
                    return answer(200, [sent])
                case "silent":
                    return None
                case "away":
                    return answer(302, location="http://169.254.169.254/")
                case status:
                    return answer(int(status), {"message": f"not with {sent}"})

        async with http_peer(answers) as peer:
            yield [
                FailingCall(
                    action=action,
                    settings={
                        "token": SECRET,
                        "api_url": f"{peer.url}/{way}",
                        "timeout": 0.05 if way == "silent" else 20,
                    },
                    arguments=self.arguments[action],
                    failure=failure,
                    retryable=retryable,
                )
                for action in ("github.comment", "github.status")
                for way, failure, retryable in (
                    ("401", "http_401", False),
                    ("404", "http_404", False),
                    ("422", "http_422", False),
                    ("502", "http_502", True),
                    ("garbage", "http_protocol", True),
                    ("odd", "http_garbage", True),
                    ("silent", "http_timeout", True),
                    ("away", "http_forbidden_address", False),
                )
            ]
