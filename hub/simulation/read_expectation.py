"""The expectations of a scenario."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from hub.run.state import NodeStatus, RunStatus
from hub.simulation.expectation import Called, Expectation, ExpectedError
from hub.simulation.reading import Reading
from hub.tree.words import Place, did_you_mean, kind_of, listed

__all__ = ["ExpectationReader"]

_STATUSES = (*get_args(RunStatus), "waiting")
_ROUND = re.compile(r"#\d+")


class ExpectationReader:
    """Reads `expect`."""

    def __init__(self, reading: Reading) -> None:
        self._read = reading

    def expectation(self, place: Place, value: Any) -> Expectation:
        """What is expected of the run."""
        known = Expectation.__struct_fields__
        if value is None or not self._read.mapping(place, value, known, "`expect`"):
            return Expectation()
        given: dict[str, Any] = {}
        given["status"] = self._read.choice((*place, "status"), value.get("status"), _STATUSES)
        if value.get("lasts") is not None:
            given["lasts"] = self._read.span((*place, "lasts"), value["lasts"])
        if "result" in value:
            given["result"] = value["result"]
        if "error" in value:
            given["error"] = self._error((*place, "error"), value["error"])
        for name in ("called", "not_called"):
            given[name] = self._calls((*place, name), value.get(name))
        given["vars"] = value.get("vars") or {}
        if not isinstance(given["vars"], dict):
            self._read.problem((*place, "vars"), "`vars` is a mapping of variables to values")
        if "waiting_for" in value:
            given["waiting_for"] = self._waiting_for((*place, "waiting_for"), value["waiting_for"])
        given["nodes"] = self._nodes((*place, "nodes"), value.get("nodes"))
        return Expectation(**given)

    def _error(self, place: Place, value: Any) -> ExpectedError:
        if isinstance(value, str):
            value = {"code": value}
        if not self._read.mapping(place, value, ("code", "message"), "`error`"):
            return ExpectedError()
        code, message = value.get("code"), value.get("message")
        for key, text in (("code", code), ("message", message)):
            if text is not None and not isinstance(text, str):
                self._read.problem((*place, key), f"`{key}` is a text")
        return ExpectedError(code=code, message=message)

    def _calls(self, place: Place, value: Any) -> list[Called]:
        if value is None:
            return []
        if not isinstance(value, list):
            self._read.problem(place, f"this is a list of calls, not {kind_of(value)}")
            return []
        found = (self._call((*place, index), item) for index, item in enumerate(value))
        return [called for called in found if called is not None]

    def _call(self, place: Place, value: Any) -> Called | None:
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            self._read.problem(
                place, "a call is one action and its arguments", "`email.send: {to: ...}`"
            )
            return None
        ((name, arguments),) = value.items()
        self._read.action((*place, name), name)
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            self._read.problem((*place, name), f"arguments are a mapping, not {kind_of(arguments)}")
            return None
        if name in self._read.installed:
            known = [
                f.encode_name for f in msgspec.structs.fields(self._read.installed[name].input)
            ]
            for key in arguments:
                if key not in known:
                    self._read.problem(
                        (*place, name, key),
                        f"`{name}` has no argument {key!r}",
                        did_you_mean(key, known) or f"its arguments: {listed(known)}",
                    )
        return Called(action=name, arguments=arguments)

    def _waiting_for(self, place: Place, value: Any) -> list[str] | None:
        names = [value] if isinstance(value, str) else [] if value is None else value
        known = {*self._read.tree.subscriptions, *(node.label for node in self._read.tree.nodes())}
        if not isinstance(names, list):
            self._read.problem(place, "`waiting_for` is an event's name, or a list of them")
            return None
        for index, name in enumerate(names):
            if name not in known:
                where = place if isinstance(value, str) else (*place, index)
                self._read.problem(
                    where,
                    f"the tree does not wait for {name!r}",
                    did_you_mean(str(name), [str(n) for n in sorted(known)]),
                )
        return [str(name) for name in names]

    def _nodes(self, place: Place, value: Any) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._read.problem(place, "`nodes` is a mapping of ids or paths to statuses")
            return {}
        ids = [node.id for node in self._read.tree.nodes() if node.id is not None]
        paths = [node.path for node in self._read.tree.nodes()]
        read: dict[str, str] = {}
        for name, status in value.items():
            if name not in ids and _ROUND.sub("", name) not in paths:
                self._read.problem(
                    (*place, name),
                    f"the tree has no node of the id or path {name!r}",
                    did_you_mean(name, [*ids, *paths]),
                )
            read[name] = self._read.choice((*place, name), status, get_args(NodeStatus)) or ""
        return read
