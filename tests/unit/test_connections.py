from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest
from msgspec import Meta

from hub.connections import Connections
from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused, MissingSecret, NodeFailed
from tests.contracts.connector import GivenCall


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 25
    tls: Literal["starttls", "none"] | None = None
    from_: str | None = None
    token: str = ""

    def __post_init__(self) -> None:
        if self.tls == "none" and self.port == 587:
            raise ValueError("port 587 needs `tls: starttls`")


class Input(msgspec.Struct, frozen=True, kw_only=True):
    to: str | list[str]
    count: int = 1
    tags: dict[str, int] = {}


class Output(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    host: str
    by_number: dict[int, str]


class Pigeon(Connector):
    name: ClassVar[str] = "pigeon"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    opened: ClassVar[list[str]] = []
    closed: ClassVar[list[str]] = []

    def __init__(self, settings: Any, project: Path) -> None:
        super().__init__(settings, project)
        self.opened.append(settings.host)

    @action()
    async def send(self, given: Input, call: Call) -> Output:
        """Send."""
        return Output(
            at=datetime.fromisoformat("2026-05-01T12:00:00+00:00"),
            host=self.settings.host,
            by_number={given.count: call.path},
        )

    @action()
    async def fail(self, given: Input, call: Call) -> None:
        """Fail."""
        match given.to:
            case "refused":
                raise ActionRefused("no_such", f"said {self.settings.token}") from ValueError(
                    self.settings.token
                )
            case "later":
                raise ActionFailed("busy", f"said {self.settings.token}", retry_after=7)
            case "node":
                raise NodeFailed("x", self.settings.token)
            case _:
                raise RuntimeError(f"token {self.settings.token}")

    @action()
    async def odd(self, given: Input, call: Call) -> Any:
        """Give what is no JSON."""
        return object()

    async def close(self) -> None:
        self.closed.append(self.settings.host)
        if self.settings.host == "stuck":
            raise OSError("stuck")


class Easy(Connector):
    """All of its settings have defaults."""

    class Settings(msgspec.Struct, frozen=True):
        limit: int = 3

    name: ClassVar[str] = "easy"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    @action()
    async def go(self, given: Input, call: Call) -> int:
        """Go."""
        return int(self.settings.limit)


KINDS: Mapping[str, type[Connector]] = {"pigeon": Pigeon, "easy": Easy}


@pytest.fixture(autouse=True)
def _nothing_open() -> None:
    Pigeon.opened.clear()
    Pigeon.closed.clear()


def connections(
    tmp_path: Path, definitions: Any, env: Mapping[str, str] | None = None, **more: Any
) -> Connections:
    return Connections(tmp_path, definitions, env or {}, connectors=KINDS, **more)


def checked(tmp_path: Path, definitions: Any, **env: str) -> list[tuple[str, str, str]]:
    found = connections(tmp_path, definitions, env).check()
    return [
        (d.severity, d.path, f"{d.message}; {d.suggestion}" if d.suggestion else d.message)
        for d in found
    ]


# --- checking


def test_good_connections_have_no_errors(tmp_path: Path) -> None:
    definitions = {
        "a": {"pigeon": {"host": "h", "port": "${{ env.PORT }}", "from": "x"}},
        "b": {"easy": None},
    }
    assert checked(tmp_path, definitions, PORT="587") == []
    assert checked(tmp_path, None) == []


def test_every_error_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    definitions = {
        "mail": {"pigeon": {"port": "x", "tls": "ssl", "form": "y"}},
        "other": {"pidgeon": {}},
        "both": {"pigeon": {"host": "h"}, "easy": {}},
        "none": None,
        "list": {"easy": []},
    }
    assert checked(tmp_path, definitions) == [
        ("error", "connections.mail.pigeon.form", "there is no such field; did you mean `from`?"),
        ("error", "connections.mail.pigeon.host", "is required"),
        ("error", "connections.mail.pigeon.port", "must be a whole number, not a text"),
        ("error", "connections.mail.pigeon.tls", "must be one of: none, starttls"),
        (
            "error",
            "connections.other.pidgeon",
            "there is no connector 'pidgeon'; did you mean 'pigeon'?",
        ),
        (
            "error",
            "connections.both",
            "names one connector and its settings; connectors: pigeon, easy",
        ),
        (
            "error",
            "connections.none",
            "names one connector and its settings; connectors: pigeon, easy",
        ),
        ("error", "connections.list.easy", "is a list, and must be a mapping"),
    ]


def test_a_bound_and_a_rule_of_the_struct_are_said_in_words(tmp_path: Path) -> None:
    assert checked(tmp_path, {"a": {"pigeon": {"host": "h", "port": 0}}}) == [
        ("error", "connections.a.pigeon.port", "must be a whole number >= 1")
    ]
    assert checked(tmp_path, {"a": {"pigeon": {"host": "h", "port": 587, "tls": "none"}}}) == [
        ("error", "connections.a.pigeon", "port 587 needs `tls: starttls`")
    ]


def test_connections_that_are_no_mapping_are_said(tmp_path: Path) -> None:
    ((_, path, message),) = checked(tmp_path, ["mail"])
    assert path == "connections"
    assert "mapping" in message


def test_a_secret_that_is_not_set_is_a_warning_beside_the_other_errors(tmp_path: Path) -> None:
    found = checked(
        tmp_path,
        {"a": {"pigeon": {"host": "${{ env.HOST }}", "token": "${{ env.T }}", "port": "x"}}},
    )
    assert [(severity, path) for severity, path, _ in found] == [
        ("warning", "connections.a.pigeon.host"),
        ("warning", "connections.a.pigeon.token"),
        ("error", "connections.a.pigeon.port"),
    ]
    assert "HOST" in found[0][2]


def test_an_error_never_shows_the_value_of_a_secret(tmp_path: Path) -> None:
    found = checked(
        tmp_path,
        {"a": {"pigeon": {"host": "h", "tls": "${{ env.T }}", "port": "${{ env.T }}"}}},
        T="pw-1",
    )
    assert len(found) == 2
    assert "pw-1" not in str(found)


def test_an_expression_that_is_wrong_is_said_with_its_place(tmp_path: Path) -> None:
    ((severity, path, _),) = checked(tmp_path, {"a": {"pigeon": {"host": "${{ env. }}"}}})
    assert (severity, path) == ("error", "connections.a.pigeon.host")


# --- choosing


async def test_one_connector_per_connection_opened_when_first_used(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "ha"}}, "b": {"pigeon": {"host": "hb"}}})
    assert Pigeon.opened == []
    assert await it.get("pigeon", "b") is await it.get("pigeon", "b")
    assert await it.get("pigeon", "a") is not await it.get("pigeon", "b")
    assert Pigeon.opened == ["hb", "ha"]
    await it.close()
    assert sorted(Pigeon.closed) == ["ha", "hb"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["only"], "only"),
        (["a", "default", "pigeon"], "default"),
        (["a", "pigeon"], "pigeon"),
    ],
)
async def test_the_default_choice(tmp_path: Path, names: list[str], chosen: str) -> None:
    it = connections(tmp_path, {name: {"pigeon": {"host": name}} for name in names})
    assert (await it.get("pigeon")).settings.host == chosen


async def test_an_open_choice_lists_what_there_is(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "h"}}, "b": {"pigeon": {"host": "h"}}})
    with pytest.raises(ActionRefused, match="Connections of pigeon: a, b") as caught:
        await it.get("pigeon")
    assert caught.value.failure == "unknown_connection"


async def test_an_unknown_connection_suggests_the_nearest(tmp_path: Path) -> None:
    it = connections(tmp_path, {"mail": {"pigeon": {"host": "h"}}, "e": {"easy": {}}})
    with pytest.raises(ActionRefused, match="did you mean 'mail'"):
        await it.get("pigeon", "mial")
    with pytest.raises(ActionRefused, match="'e' is one of easy"):
        await it.get("pigeon", "e")
    with pytest.raises(ActionRefused, match="did you mean 'pigeon'"):
        await it.get("pidgeon")


async def test_no_connection_is_needed_where_all_settings_have_defaults(tmp_path: Path) -> None:
    it = connections(tmp_path, {})
    assert await it.run("easy.go", {"to": "x"}, GivenCall(tmp_path)) == 3
    with pytest.raises(ActionRefused, match=r"there is no connection for pigeon.*hub\.yaml"):
        await it.get("pigeon")


async def test_a_missing_secret_is_raised_at_use_and_found_once_it_is_set(tmp_path: Path) -> None:
    env: dict[str, str] = {}
    it = Connections(tmp_path, {"a": {"pigeon": {"host": "${{ env.H }}"}}}, env, connectors=KINDS)
    with pytest.raises(MissingSecret, match=r"H .*connections\.a\.pigeon\.host"):
        await it.get("pigeon")
    with pytest.raises(ActionRefused) as caught:
        await it.run("pigeon.send", {"to": "x"}, GivenCall(tmp_path))
    assert caught.value.failure == "missing_secret"
    env["H"] = "host-1"
    assert (await it.get("pigeon")).settings.host == "host-1"


async def test_settings_that_do_not_fit_are_refused_at_use(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "h", "port": "x"}}})
    with pytest.raises(ActionRefused, match=r"connections\.a\.pigeon\.port") as caught:
        await it.get("pigeon")
    assert caught.value.failure == "invalid_settings"


# --- overriding


async def test_an_override_is_laid_over_every_connection_of_its_connector(tmp_path: Path) -> None:
    it = connections(
        tmp_path,
        {
            "a": {"pigeon": {"host": "real", "token": "${{ env.UNSET }}", "from": "me"}},
            "e": {"easy": {}},
        },
        overrides={"pigeon": {"host": "dev", "token": None}},
    )
    assert it.check() == []
    settings = (await it.get("pigeon")).settings
    assert (settings.host, settings.token, settings.from_) == ("dev", "", "me")


async def test_an_override_makes_a_connection_where_there_is_none(tmp_path: Path) -> None:
    it = connections(tmp_path, {}, overrides={"pigeon": {"host": "dev"}})
    assert (await it.get("pigeon")).settings.host == "dev"


async def test_an_override_that_does_not_fit_is_said(tmp_path: Path) -> None:
    it = connections(tmp_path, {}, overrides={"pigeon": {"host": 1}})
    with pytest.raises(ActionRefused, match="host"):
        await it.get("pigeon")


# --- running


async def test_an_action_is_run_and_gives_json(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "h"}}})
    result = await it.run("pigeon.send", {"to": "x", "count": "5"}, GivenCall(tmp_path))
    assert result == {"at": "2026-05-01T12:00:00Z", "host": "h", "by_number": {"5": "do[0]"}}


async def test_invalid_input_names_every_field(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "h"}}})
    with pytest.raises(ActionRefused) as caught:
        await it.run(
            "pigeon.send", {"count": "many", "tgas": {}, "tags": {"a": "b"}}, GivenCall(tmp_path)
        )
    assert caught.value.failure == "invalid_input"
    assert caught.value.message == (
        "pigeon.send: tgas: there is no such field (did you mean `tags`?); to: is required; "
        "count: must be a whole number, not a text; tags[...]: must be a whole number, not a text"
    )
    assert Pigeon.opened == []


async def test_an_unknown_action_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ActionRefused, match=r"did you mean 'pigeon\.send'") as caught:
        await connections(tmp_path, {}).run("pigeon.sned", {}, GivenCall(tmp_path))
    assert caught.value.failure == "unknown_action"


@pytest.mark.parametrize(
    ("to", "failure", "retryable"),
    [
        ("refused", "no_such", False),
        ("later", "busy", True),
        ("node", "unexpected", True),
        ("bug", "unexpected", True),
    ],
)
async def test_what_an_action_raises_is_split_and_redacted(
    tmp_path: Path, to: str, failure: str, retryable: bool
) -> None:
    definitions = {"a": {"pigeon": {"host": "h", "token": "${{ env.T }}"}}}
    it = connections(tmp_path, definitions, {"T": "the-token-of-it"})
    with pytest.raises(ActionFailed) as caught:
        await it.run("pigeon.fail", {"to": to}, GivenCall(tmp_path))
    error = caught.value
    assert (error.failure, error.retryable) == (failure, retryable)
    assert "[redacted]" in str(error)
    assert "the-token-of-it" not in f"{error!r} {error.message} {error.__dict__}"
    assert error.__cause__ is None
    assert error.__suppress_context__
    if to == "later":
        assert error.retry_after == 7
    if to == "bug":
        assert error.message == "pigeon.fail: RuntimeError: token [redacted]"


async def test_a_result_that_is_no_json_is_said(tmp_path: Path) -> None:
    it = connections(tmp_path, {"a": {"pigeon": {"host": "h"}}})
    with pytest.raises(ActionFailed) as caught:
        await it.run("pigeon.odd", {"to": "x"}, GivenCall(tmp_path))
    assert caught.value.failure == "unexpected"


async def test_all_are_closed_also_when_one_fails(tmp_path: Path) -> None:
    it = connections(
        tmp_path, {"a": {"pigeon": {"host": "stuck"}}, "b": {"pigeon": {"host": "fine"}}}
    )
    await it.get("pigeon", "a")
    await it.get("pigeon", "b")
    with pytest.raises(ExceptionGroup):
        await it.close()
    assert Pigeon.closed == ["stuck", "fine"]
    await it.close()
