"""python: call a function of your own package, where no connector does what is needed.

    connections:
      code:
        python: {functions: [shop.reports.summary]}

    - python.call: {function: shop.reports.summary, arguments: {day: "2026-05-01"}}

Only functions that `functions` names are called. Their annotations are their types: arguments are
converted to them, and what does not fit is refused by name. A parameter that is annotated with
`hub.connector.Call` is given the call, for its `idempotency_key` and `heartbeat`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_type_hints

import msgspec
from msgspec import Meta

from hub.connector import Call, Connector, action
from hub.errors import ActionFailed, ActionRefused
from hub.fitting import fit

__all__ = ["Function", "Python", "Returned", "Settings"]

_DOTTED = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The functions that trees may call."""

    functions: Annotated[
        Annotated[list[Annotated[str, Meta(pattern=_DOTTED)]], Meta(min_length=1)],
        Meta(description="Functions by their full names: `package.module.function`"),
    ]
    path: Annotated[
        str | None,
        Meta(description="Folder of the project with the package, where it is not installed"),
    ] = None


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function and its arguments."""

    function: Annotated[str, Meta(pattern=_DOTTED, description="Its full name")]
    arguments: Annotated[dict[str, Any], Meta(description="Its arguments, by name")] = {}


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What it returned."""

    value: Annotated[Any, Meta(description="The value, as JSON")]


class Python(Connector):
    """Calls functions of your own package."""

    name: ClassVar[str] = "python"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._prepared: dict[str, _Prepared] = {}
        if settings.path is not None:
            folder = str((project / settings.path).resolve())
            if folder not in sys.path:
                sys.path.append(folder)

    @action(timeout=timedelta(hours=1))
    async def call(self, given: Function, call: Call) -> Returned:
        """Call a function. One that is not `async` runs in a thread, and cannot be cancelled there.

        To fail for good it raises `hub.errors.ActionRefused(code, message)`; whatever else it
        raises may be tried again.
        """
        name = given.function
        if name not in self.settings.functions:
            raise ActionRefused(
                "python_not_allowed",
                f"{name} is not among the connection's `functions`",
            )
        if name not in self._prepared:
            # An import runs the user's code, and may take a while.
            self._prepared[name] = await asyncio.to_thread(_prepare, name)
        prepared = self._prepared[name]
        arguments = prepared.fitted(given.arguments, call)
        try:
            if inspect.iscoroutinefunction(prepared.function):
                value = await prepared.function(**arguments)
            else:
                value = await asyncio.to_thread(prepared.function, **arguments)
        except ActionFailed:
            raise
        except Exception as error:
            raise ActionFailed(
                "python_failed", f"{name} raises {type(error).__name__}: {error}"
            ) from None
        try:
            return Returned(value=msgspec.to_builtins(value, str_keys=True))
        except (TypeError, ValueError, RecursionError):
            raise ActionRefused(
                "python_result", f"{name} returns {type(value).__name__}, which is no JSON"
            ) from None


class _Prepared:
    """A function, and a struct of its parameters."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        hints = get_type_hints(function, include_extras=True)
        fields: list[Any] = []
        self.call_parameters: list[str] = []
        for parameter in inspect.signature(function).parameters.values():
            kind = hints.get(parameter.name, Any)
            if kind is Call:
                self.call_parameters.append(parameter.name)
            elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                given = parameter.default is not parameter.empty
                # Only what is given is passed on, so that the function's own defaults apply.
                fields.append(
                    (parameter.name, kind | msgspec.UnsetType, msgspec.UNSET)
                    if given
                    else (parameter.name, kind)
                )
            else:
                raise ActionRefused(
                    "python_signature",
                    f"{name}: the parameter {parameter.name!r} cannot be given by name",
                )
        self.struct = msgspec.defstruct("Arguments", fields, kw_only=True)

    def fitted(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        """The arguments, converted. Raises `ActionRefused` (`invalid_input`) by name."""
        fitted, problems = fit(given, self.struct, "arguments")
        if problems or fitted is None:
            said = "; ".join(f"{p.path} {p.message}" for p in problems)
            raise ActionRefused("invalid_input", f"{self.name}: {said}")
        values = {n: getattr(fitted, n) for n in self.struct.__struct_fields__}
        values |= dict.fromkeys(self.call_parameters, call)
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def _prepare(name: str) -> _Prepared:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ActionRefused(
            "python_import", f"{module} cannot be imported: {error}; is it installed?"
        ) from None
    except Exception as error:
        raise ActionRefused(
            "python_import", f"importing {module} raises {type(error).__name__}: {error}"
        ) from None
    if not inspect.isfunction(found):
        raise ActionRefused("python_import", f"{module} has no function {attribute!r}")
    try:
        return _Prepared(name, found)
    except (NameError, TypeError) as error:
        raise ActionRefused("python_signature", f"{name}: {error}") from None
