"""Connections: the configured accounts of a project's connectors, and the way to call an action.

`hub.yaml` has one connector per connection, as a tree has one verb per node:

    connections:
      mail:
        email: {host: smtp.example.com, from: hub@example.com, password: "${{ env.SMTP_PASSWORD }}"}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from hub.connector import Action, Call, Connector, installed_connectors
from hub.errors import (
    ActionFailed,
    ActionRefused,
    Diagnostic,
    InvalidDefinition,
    MissingSecret,
    NotFound,
)
from hub.fitting import fit
from hub.secrets import MissingValue, redact, redact_value, resolve

__all__ = ["ConnectionState", "Connections", "Use"]

_Settings = Mapping[str, Any]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What was last done by a connection in this process, and what failed last."""

    at: datetime | None = None
    action: str | None = None
    failed_at: datetime | None = None
    failure: str | None = None


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as it may be shown. `problem` says why it cannot be used as it is set up."""

    name: str
    connector: str
    address: str | None = None
    problem: str | None = None
    use: Use = Use()


class Connections:
    """The connections of one project: checked on demand, opened when first used.

    `definitions` is the `connections` part of `hub.yaml`: name to `{connector: settings}`.
    `overrides` is by connector: its settings are laid over those of every connection of that
    connector, and make one where none is defined; None takes a setting away. So `hub dev` sends
    all mail to its own inbox, whatever the project says. `connectors` are those to choose from,
    the installed ones by default.
    """

    def __init__(
        self,
        project: Path,
        definitions: Mapping[str, Any] | None,
        env: Mapping[str, str],
        *,
        overrides: Mapping[str, _Settings] | None = None,
        connectors: Mapping[str, type[Connector]] | None = None,
    ) -> None:
        self.project = project
        self._definitions: Any = definitions or {}
        self._env = env
        self.overrides = overrides or {}
        self._connectors = installed_connectors() if connectors is None else connectors
        self._actions: dict[str, tuple[str, Action]] = {
            action.name: (kind.name, action)
            for kind in self._connectors.values()
            for action in kind.actions()
        }
        self._open: dict[tuple[str, str | None], Connector] = {}
        self._uses: dict[str, Use] = {}

    def check(self) -> list[Diagnostic]:
        """All that is wrong with the definitions, each with its place.

        A secret that is not set is a warning here: a project is often checked where its secrets
        are not. Using such a connection raises `MissingSecret`.
        """
        found: list[Diagnostic] = []
        if not isinstance(self._definitions, Mapping):
            return [_wrong("connections", "is a mapping of a name to `connector: settings`")]
        for name in self._definitions:
            found += self._check(str(name))
        return found

    async def states(self) -> list[ConnectionState]:
        """All connections, those that only the overrides make included, by name."""
        return [await self._state(name, verb) for name, verb in sorted(self._listed().items())]

    async def check_one(self, name: str) -> str | None:
        """Ask the other side of a connection for a sign of life; see `Connector.check`.

        Raises `NotFound`, and what `get` and the connector raise, redacted.
        """
        connector = self._listed().get(name)
        if connector is None:
            raise NotFound(f"there is no connection {name!r}")
        try:
            opened = await self.get(connector, name if self.names(connector) else None)
            said = await opened.check()
        except MissingSecret as error:
            raise ActionRefused("missing_secret", redact(error.message)) from None
        except ActionFailed as error:
            raise _redacted(error) from None
        except Exception as error:
            raise ActionFailed("unexpected", redact(f"{type(error).__name__}: {error}")) from None
        return None if said is None else redact(said)

    def names(self, connector: str) -> list[str]:
        """The connections of that connector, by name, in the order of the file."""
        return [str(name) for name, verb, _ in self._defined() if verb == connector]

    async def get(self, connector: str, connection: str | None = None) -> Connector:
        """The connector, opened with the settings of a connection; the same one every time.

        Without a name it is the only connection of that connector; of several, the one that is
        called `default` or like the connector. With none defined, the connector's own defaults
        are used if it has one for every setting.

        Raises `ActionRefused` when there is no such connection or the choice is open, and
        `MissingSecret` when its settings name a secret that is not set.
        """
        kind = self._connectors.get(connector)
        if kind is None:
            raise ActionRefused(
                "unknown_connector",
                f"there is no connector {connector!r}{_did_you_mean(connector, self._connectors)}",
            )
        name = self._choose(connector, connection)
        opened = self._open.get((connector, name))
        if opened is None:
            opened = kind(self._settings(kind, name), self.project)
            self._open[connector, name] = opened
        return opened

    async def run(
        self, action: str, args: Mapping[str, Any], call: Call, connection: str | None = None
    ) -> Any:
        """Call an action by its name (`email.send`) and give its result as JSON values.

        Raises `ActionRefused` with the failure `unknown_action`, `invalid_input` (the message
        names the field), `unknown_connection`, `invalid_settings` or `missing_secret` before
        anything is called, and after that what the action raises, redacted. Whatever else escapes
        from the action becomes `ActionFailed` with the failure `unexpected`.
        """
        if action not in self._actions:
            raise ActionRefused(
                "unknown_action",
                f"there is no action {action!r}{_did_you_mean(action, self._actions)}",
            )
        connector, described = self._actions[action]
        given, problems = fit(args, described.input)
        if problems:
            raise ActionRefused(
                "invalid_input",
                redact(f"{action}: " + "; ".join(_line(problem) for problem in problems)),
            )
        try:
            opened = await self.get(connector, connection)
        except MissingSecret as error:
            raise ActionRefused("missing_secret", redact(error.message)) from None
        try:
            output = await getattr(opened, described.method)(given, call)
            result = msgspec.to_builtins(output, str_keys=True)
        except ActionFailed as error:
            raise self._noted(connector, connection, action, _redacted(error)) from None
        except Exception as error:
            # The cause is cut off: its text and locals may hold secrets, and Temporal keeps causes.
            failed = ActionFailed(
                "unexpected", redact(f"{action}: {type(error).__name__}: {error}")
            )
            raise self._noted(connector, connection, action, failed) from None
        self._note(connector, connection, action)
        return result

    async def close(self) -> None:
        """Close every connector that was opened, also when closing one of them fails."""
        opened, self._open = self._open, {}
        failures: list[Exception] = []
        for connector in opened.values():
            try:
                await connector.close()
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("connections could not be closed", failures)

    def _listed(self) -> dict[str, str]:
        """Each connection's connector, by its name."""
        listed = {name: verb for name, verb, _ in self._defined() if verb in self._connectors}
        for connector in self.overrides:
            if connector in self._connectors and connector not in listed.values():
                listed.setdefault(connector, connector)
        return listed

    async def _state(self, name: str, connector: str) -> ConnectionState:
        state = ConnectionState(name=name, connector=connector, use=self._uses.get(name) or Use())
        try:
            opened = await self.get(connector, name if self.names(connector) else None)
            address = opened.address()
        except (ActionRefused, MissingSecret) as error:
            return msgspec.structs.replace(state, problem=redact(error.message))
        return msgspec.structs.replace(state, address=None if address is None else redact(address))

    def _note(
        self, connector: str, connection: str | None, action: str, failure: str | None = None
    ) -> None:
        name = self._choose(connector, connection) or connector
        before, now = self._uses.get(name) or Use(), datetime.now(UTC)
        after = msgspec.structs.replace(before, at=now, action=action)
        if failure is not None:
            after = msgspec.structs.replace(after, failed_at=now, failure=failure)
        self._uses[name] = after

    def _noted(
        self, connector: str, connection: str | None, action: str, error: ActionFailed
    ) -> ActionFailed:
        self._note(connector, connection, action, f"{error.failure}: {error.message}"[:500])
        return error

    def _defined(self) -> list[tuple[str, str, Any]]:
        if not isinstance(self._definitions, Mapping):
            return []
        return [
            (str(name), *next(iter(definition.items())))
            for name, definition in self._definitions.items()
            if isinstance(definition, Mapping) and len(definition) == 1
        ]

    def _choose(self, connector: str, connection: str | None) -> str | None:
        names = self.names(connector)
        if connection is not None:
            if connection in names:
                return connection
            other = next((verb for name, verb, _ in self._defined() if name == connection), None)
            if other is not None:
                message = f"the connection {connection!r} is one of {other}, not of {connector}"
            else:
                message = f"there is no connection {connection!r}"
                message += _did_you_mean(connection, names)
            raise ActionRefused("unknown_connection", f"{message}. {_choices(connector, names)}")
        if len(names) <= 1:
            return names[0] if names else None
        for usual in ("default", connector):
            if usual in names:
                return usual
        raise ActionRefused(
            "unknown_connection",
            f"{connector} has several connections, and none is called `default`: "
            f"name one with `connection:`. {_choices(connector, names)}",
        )

    def _settings(self, kind: type[Connector], name: str | None) -> Any:
        path = f"connections.{name}.{kind.name}" if name is not None else ""
        given = next((settings for n, _, settings in self._defined() if n == name), None)
        settings = self._overridden(kind, given)
        if isinstance(settings, Mapping):
            try:
                settings = resolve(settings, self._env, self.project, path)
            except InvalidDefinition as error:
                raise ActionRefused("invalid_settings", _lines(error.diagnostics)) from None
        fitted, problems = fit(settings, kind.settings_type, path)
        if problems and name is None and kind.name not in self.overrides:
            raise ActionRefused(
                "unknown_connection",
                f"there is no connection for {kind.name}. {_choices(kind.name, [])}",
            )
        if problems:
            raise ActionRefused("invalid_settings", redact(_lines(problems)))
        return fitted

    def _overridden(self, kind: type[Connector], settings: Any) -> Any:
        settings = {} if settings is None else settings
        laid_over = self.overrides.get(kind.name, {})
        if not isinstance(settings, Mapping):
            return settings
        return {k: v for k, v in {**settings, **laid_over}.items() if v is not None}

    def _check(self, name: str) -> list[Diagnostic]:
        path = f"connections.{name}"
        definition = self._definitions[name]
        if not isinstance(definition, Mapping) or len(definition) != 1:
            known = ", ".join(self._connectors) or "none is installed"
            return [_wrong(path, f"names one connector and its settings; connectors: {known}")]
        ((connector, settings),) = definition.items()
        kind = self._connectors.get(connector)
        if kind is None:
            hint = _did_you_mean(str(connector), self._connectors)
            return [_wrong(f"{path}.{connector}", f"there is no connector {connector!r}{hint}")]
        path = f"{path}.{connector}"
        settings = self._overridden(kind, settings)
        if not isinstance(settings, Mapping):
            return fit(settings, kind.settings_type, path)[1]
        found: list[Diagnostic] = []
        resolved: dict[str, Any] = {}
        unresolved: set[str] = set()
        for field, value in settings.items():
            try:
                resolved[field] = resolve(value, self._env, self.project, f"{path}.{field}")
            except MissingSecret as error:
                unresolved.add(str(field))
                found += [_unset(missing) for missing in error.details["missing"]]
            except InvalidDefinition as error:
                unresolved.add(str(field))
                found += error.diagnostics
        problems = fit(resolved, kind.settings_type, path, unknown=unresolved)[1]
        return found + [
            msgspec.structs.replace(problem, message=redact(problem.message))
            for problem in problems
        ]


def _redacted(error: ActionFailed) -> ActionFailed:
    """The same error without a secret in its text, and without the errors that led to it."""
    error.message = redact(error.message)
    error.args = (error.message,)
    error.details = redact_value(error.details)
    error.__cause__ = error.__context__ = None
    return error


def _wrong(path: str, message: str) -> Diagnostic:
    return Diagnostic(message=message, path=path, code="invalid_connection")


def _unset(missing: MissingValue) -> Diagnostic:
    return Diagnostic(
        message=f"{missing.reason}; the connection cannot be used without it",
        path=missing.path,
        code=MissingSecret.code,
        severity="warning",
    )


def _line(problem: Diagnostic) -> str:
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"{text} ({problem.suggestion})" if problem.suggestion else text


def _lines(problems: list[Diagnostic]) -> str:
    return "; ".join(_line(problem) for problem in problems)


def _choices(connector: str, names: list[str]) -> str:
    if not names:
        return f"Add one to hub.yaml: `connections: {{{connector}: {{{connector}: {{...}}}}}}`."
    return f"Connections of {connector}: {', '.join(names)}."


def _did_you_mean(word: str, among: Mapping[str, Any] | list[str]) -> str:
    close = get_close_matches(word, list(among), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
