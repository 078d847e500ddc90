"""What every kind of connector promises, written once. Each kind's tests inherit this class."""

from __future__ import annotations

import importlib
import logging
import re
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from hub.connections import Connections
from hub.connector import Action, Connector, RunRef
from hub.errors import ActionFailed, ActionRefused

PLANTED = "pl4nted/secret+value"
"""The value of `${{ env.PLANTED }}` in the settings of every failing call."""


@dataclass
class GivenCall:
    """One attempt of an action, outside of any run."""

    project: Path
    run: RunRef = field(default_factory=lambda: RunRef(id="tree/key", tree="tree", key="key"))
    path: str = "do[0]"
    attempt: int = 1
    idempotency_key: str = "tree/key:do[0]"
    scope: Mapping[str, Any] = field(default_factory=dict)
    callbacks: list[tuple[str, timedelta | None]] = field(default_factory=list)

    def callback(self, subscription: str, *, expires: timedelta | None = None) -> str:
        self.callbacks.append((subscription, expires))
        return f"https://hub.example.com/callbacks/{subscription}"

    def heartbeat(self) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class FailingCall:
    """A call that fails: with these settings and arguments, and in this way.

    `failure` is the code; `retryable` whether the run may try again. The settings should hold
    `${{ env.PLANTED }}` in every secret field.
    """

    action: str
    settings: Mapping[str, Any]
    arguments: Mapping[str, Any]
    failure: str
    retryable: bool


class ConnectorContract:
    """Subclasses name the kind, give settings and arguments that are right, and calls that fail.

    The calls come from a fixture `failing_calls` that gives a sequence of `FailingCall`: every way
    in which a call of this kind fails, with the servers that make it fail running meanwhile.
    """

    kind: ClassVar[type[Connector]]
    settings: ClassVar[Mapping[str, Any]]
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]]
    """For each action, arguments that fit it."""

    def connections(self, project: Path, settings: Mapping[str, Any] | None = None) -> Connections:
        given = self.settings if settings is None else settings
        return Connections(
            project,
            {"it": {self.kind.name: given}},
            {"PLANTED": PLANTED},
            connectors={self.kind.name: self.kind},
        )

    def actions(self) -> list[Action]:
        return list(self.kind.actions())

    def test_it_is_found_by_its_name(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", self.kind.name)
        package = tomllib.loads(Path("pyproject.toml").read_text())["project"]
        module, _, name = package["entry-points"]["hub.connectors"][self.kind.name].partition(":")
        assert getattr(importlib.import_module(module), name) is self.kind

    def test_it_is_documented(self) -> None:
        assert (self.kind.__doc__ or "").strip()
        assert (self.kind.settings_type.__doc__ or "").strip()

    def test_every_action_says_what_it_does(self) -> None:
        assert self.actions()
        for action in self.actions():
            assert re.fullmatch(rf"{self.kind.name}\.[a-z][a-z0-9_]*", action.name)
            assert action.summary.splitlines()[0].endswith("."), action.name
            assert timedelta(0) < action.timeout <= timedelta(hours=24)

    def test_every_field_has_a_type_and_a_description(self) -> None:
        kinds: list[Any] = [self.kind.settings_type]
        for action in self.actions():
            assert issubclass(action.input, msgspec.Struct), action.name
            assert action.output is not Any, f"{action.name} does not say what it gives"
            kinds += [action.input, action.output]
        _, schemas = msgspec.json.schema_components(kinds)
        msgspec.json.encode(schemas)
        undescribed = [
            f"{name}.{field}"
            for name, schema in schemas.items()
            for field, described in schema.get("properties", {}).items()
            if not described.get("description")
        ]
        assert undescribed == []

    def test_the_settings_are_right(self, tmp_path: Path) -> None:
        assert self.connections(tmp_path).check() == []

    def test_every_setting_that_does_not_fit_is_named(self, tmp_path: Path) -> None:
        for name in _misfits(self.kind.settings_type):
            found = self.connections(tmp_path, {**self.settings, name: [{"no": "such"}]}).check()
            assert f"connections.it.{self.kind.name}.{name}" in [
                d.path.split("[")[0] for d in found
            ]

    def test_a_setting_that_does_not_exist_is_named(self, tmp_path: Path) -> None:
        found = self.connections(tmp_path, {**self.settings, "no_such": 1}).check()
        assert [d.path for d in found] == [f"connections.it.{self.kind.name}.no_such"]

    def test_there_are_arguments_for_every_action(self) -> None:
        assert set(self.arguments) == {action.name for action in self.actions()}
        for action in self.actions():
            msgspec.convert(self.arguments[action.name], action.input)

    async def test_arguments_that_do_not_fit_are_refused_by_name(self, tmp_path: Path) -> None:
        connections = self.connections(tmp_path)
        for action in self.actions():
            right = self.arguments[action.name]
            wrong: list[tuple[str, Mapping[str, Any]]] = [("no_such", {**right, "no_such": 1})]
            wrong += [(name, {**right, name: [{"no": "such"}]}) for name in _misfits(action.input)]
            wrong += [
                (f.encode_name, {k: v for k, v in right.items() if k != f.encode_name})
                for f in msgspec.structs.fields(action.input)
                if f.required
            ]
            for name, arguments in wrong:
                with pytest.raises(ActionRefused) as caught:
                    await connections.run(action.name, arguments, GivenCall(tmp_path))
                assert caught.value.failure == "invalid_input"
                assert name in caught.value.message
        await connections.close()

    async def test_every_failure_has_its_code_and_keeps_the_secret(
        self,
        tmp_path: Path,
        failing_calls: Sequence[FailingCall],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="")
        assert failing_calls
        for call in failing_calls:
            connections = self.connections(tmp_path, call.settings)
            with pytest.raises(ActionFailed) as caught:
                await connections.run(call.action, call.arguments, GivenCall(tmp_path))
            (state,) = await connections.states()
            await connections.close()
            assert PLANTED not in repr(state)
            assert state.problem or (state.use.failure or "").startswith(call.failure)
            error = caught.value
            assert (error.failure, error.retryable) == (call.failure, call.retryable), error
            shown = "".join(traceback.format_exception(error)) + repr(error.__dict__)
            assert PLANTED not in shown
            assert PLANTED not in caplog.text

    async def test_closing_twice_is_as_good_as_once(self, tmp_path: Path) -> None:
        connections = self.connections(tmp_path)
        await connections.get(self.kind.name)
        await connections.close()
        await connections.close()


def _misfits(kind: type[msgspec.Struct]) -> list[str]:
    """The fields that do not take a list of an object with an odd field."""
    found = []
    for field_ in msgspec.structs.fields(kind):
        try:
            msgspec.convert([{"no": "such"}], field_.type, strict=False)
        except msgspec.ValidationError:
            found.append(field_.encode_name)
    return found
