from __future__ import annotations

import json

import httpx
import pytest

from hub.cli.client import HubClient
from hub.errors import HubError, InvalidDefinition, InvalidSetting, Unreachable, WrongUsage
from hub.ports import find_free


def answering(
    response: httpx.Response | Exception, seen: list[httpx.Request] | None = None
) -> HubClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(response, Exception):
            raise response
        return response

    return HubClient(env={}, transport=httpx.MockTransport(handle))


def problem(status: int, code: str, **more: object) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "so it is", **more})


def test_nobody_there_asks_whether_the_hub_runs() -> None:
    port = find_free()
    with (
        HubClient(env={"HUB_PORT": str(port)}) as hub,
        pytest.raises(
            Unreachable, match=rf"127\.0\.0\.1:{port} does not answer.*is `hub dev`"
        ) as e,
    ):
        hub.get("runs")
    assert e.value.exit_code == 3


def test_a_slow_hub_is_told_from_an_absent_one() -> None:
    with answering(httpx.ReadTimeout("slow")) as hub, pytest.raises(Unreachable, match="in time"):
        hub.get("runs")


def test_the_token_is_sent_and_never_shown() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return problem(401, "unauthorized")

    env = {"HUB_URL": "https://hub.example.com/base/", "HUB_TOKEN": "s3cret-token"}
    with (
        HubClient(env=env, transport=httpx.MockTransport(handle)) as hub,
        pytest.raises(HubError, match="HUB_TOKEN") as caught,
    ):
        hub.get("runs")
    assert seen[0].headers["authorization"] == "Bearer s3cret-token"
    assert str(seen[0].url) == "https://hub.example.com/base/api/runs"
    assert "s3cret" not in caught.value.message


def test_ids_stand_in_the_path_with_their_slash_and_all_else_escaped() -> None:
    seen: list[httpx.Request] = []
    with answering(httpx.Response(200, json={}), seen) as hub:
        hub.get("runs", "onboarding/ü 1?#%2F", limit=None, tree="a b")
    assert seen[0].url.raw_path == b"/api/runs/onboarding/%C3%BC%201%3F%23%252F?tree=a+b"


def test_the_answer_keeps_the_hubs_own_text() -> None:
    text = '{"b": 1,\n "a": "ü"}'
    with answering(httpx.Response(200, text=text)) as hub:
        answer = hub.get("runs")
    assert answer.text == text
    assert answer.data == json.loads(text)


@pytest.mark.parametrize(
    ("response", "kind", "exit_code"),
    [
        (problem(404, "not_found"), HubError, 1),
        (problem(409, "conflict"), HubError, 1),
        (problem(500, "internal"), HubError, 1),
        (problem(400, "bad_request"), WrongUsage, 2),
        (problem(422, "invalid_duration"), WrongUsage, 2),
        (problem(503, "unreachable"), Unreachable, 3),
    ],
)
def test_refusals_are_the_hubs_words_with_the_right_exit_code(
    response: httpx.Response, kind: type[HubError], exit_code: int
) -> None:
    with answering(response) as hub, pytest.raises(kind, match="so it is") as caught:
        hub.get("runs")
    assert caught.value.exit_code == exit_code


def test_faults_of_a_definition_come_one_by_one() -> None:
    faults = [{"message": "no such event", "path": "do[0]", "line": 3, "column": 1, "new": 1}]
    with (
        answering(problem(422, "invalid_definition", errors=faults)) as hub,
        pytest.raises(InvalidDefinition) as caught,
    ):
        hub.post("trees", "x", body={})
    assert [d.message for d in caught.value.diagnostics] == ["no such event"]


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>some other program</html>"),
        httpx.Response(404, json={"error": "nope"}),
        httpx.Response(404, json=["x"]),
        httpx.Response(301, headers={"location": "https://elsewhere"}),
    ],
)
def test_another_program_on_the_port_is_no_hub(response: httpx.Response) -> None:
    with answering(response) as hub, pytest.raises(Unreachable, match="is no hub"):
        hub.get("runs")


@pytest.mark.parametrize(
    "url", ["localhost:8080", "http://", "ftp://x", "http://x:port", "http://[::1"]
)
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(InvalidSetting, match="HUB_URL"):
        HubClient(env={"HUB_URL": url})
