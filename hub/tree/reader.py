"""Reading nodes: which verb a mapping has, and the fields of the class that stands for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.connector import Action
from hub.expressions import Template
from hub.tree.arguments import check_arguments
from hub.tree.fields import FieldReader
from hub.tree.node import NODES, Node
from hub.tree.nodes import CallAction, Sequence
from hub.tree.report import Report
from hub.tree.spec import (
    FieldSpec,
    common_fields,
    holds_nodes,
    is_struct,
    node_fields,
    options_of,
)
from hub.tree.verbs import ACTION, meant_by
from hub.tree.words import Place, did_you_mean, kind_of, listed, path_of

__all__ = ["NodeReader", "names_fields"]


class NodeReader(FieldReader):
    """Reads the nodes of one tree. `ids` tells each id's path, `places` where each field stands."""

    def __init__(self, report: Report, actions: Mapping[str, Action] | None) -> None:
        super().__init__(report, {})
        self.actions = actions
        self.ids: dict[str, str] = {}
        self.places: dict[tuple[Place, str], Place] = {}

    def body(self, place: Place, value: Any) -> Node | None:
        if not isinstance(value, list):
            return self.node(place, value)
        if not value:
            self.report.problem(place, "the list is empty", suggestion="write at least one node")
        steps = self.nodes(place, value)
        return Sequence(path=path_of(place), place=place, steps=steps or [])

    def nodes(self, place: Place, value: Any) -> list[Node] | None:
        if not isinstance(value, list):
            self.report.problem(
                place,
                f"this is {kind_of(value)}, and must be a list of nodes",
                suggestion="begin each node with `- `, on a line of its own",
            )
            return None
        nodes = [self.body((*place, index), item) for index, item in enumerate(value)]
        return [node for node in nodes if node is not None]

    def node(self, place: Place, value: Any) -> Node | None:
        """One node, as a mapping with a verb, or as a bare verb."""
        if isinstance(value, str):
            value = self._bare(place, value)
        if not isinstance(value, dict):
            if value is not None:
                self.report.problem(
                    place,
                    f"a node is a mapping with one verb, not {kind_of(value)}",
                    suggestion="write for example `- delay: 24h` or `- wait_for: verified`",
                )
            elif not self.report.diagnostics or self.report.diagnostics[-1].path != path_of(place):
                self.report.problem(
                    place,
                    "there is no node here",
                    suggestion="write one, such as `delay: 24h`, or remove the line; what belongs "
                    "to it is indented below it",
                )
            return None
        verb = self._verb(place, value)
        if verb is None:
            return None
        common = self._common(place, value, verb)
        if verb not in NODES:
            return self._action(place, value, verb, common)
        return self._known(place, value, verb, common)

    def _bare(self, place: Place, word: str) -> dict[str, Any] | None:
        if word in NODES or ACTION.fullmatch(word):
            return {word: None}
        verb, colon, rest = word.partition(":")
        if colon and (verb in NODES or verb in common_fields() or ACTION.fullmatch(verb)):
            self.report.problem(
                place,
                f"{word!r} is one text: there is no space after the colon",
                suggestion=f"write `{verb}: {rest.strip()}`",
                code="syntax",
            )
        else:
            self.report.problem(
                place,
                f"a node is a mapping with one verb, not the text {word!r}",
                suggestion=meant_by(word, self.actions),
                code="unknown_node",
            )
        return None

    def _known(
        self, place: Place, value: dict[str, Any], verb: str, common: dict[str, Any]
    ) -> Node | None:
        kind = NODES[verb]
        known = node_fields(kind)
        given = self._given(place, value, verb, kind)
        fields: dict[str, Any] = {}
        whole = True
        for key, spec in known.items():
            where, item = given.get(key, (place, None))
            if item is None:
                if spec.required:
                    self._missing(where, verb, kind, spec, key in given)
                    whole = False
                continue
            self.places[(place, spec.attribute)] = where
            fields[spec.attribute] = self.field(where, spec.type, item)
            whole = whole and fields[spec.attribute] is not None
        if not whole:
            return None
        made = kind(path=path_of(place), place=place, **common, **fields)
        made.check(
            lambda message, field=None, suggestion=None: self.report.problem(
                place if field is None else given.get(field, (place, None))[0],
                message,
                suggestion=suggestion,
            )
        )
        return made

    def _missing(
        self, place: Place, verb: str, kind: type[Node], spec: FieldSpec, given: bool
    ) -> None:
        if spec.key == (kind.primary or "").rstrip("_"):
            message = f"`{verb}` is empty"
        elif given:
            message = f"`{spec.key}` is empty"
        else:
            message = f"`{verb}` needs `{spec.key}`"
        about = f"write it after the colon: {spec.doc}" if spec.doc else "write it after the colon"
        self.report.problem(
            place,
            message,
            suggestion=about
            if "needs" not in message
            else f"add `{spec.key}:` beside it: {spec.doc or 'it cannot be left out'}",
            code="missing_field",
        )

    def _verb(self, place: Place, value: dict[str, Any]) -> str | None:
        found = [key for key in value if key in NODES]
        found += [key for key in value if key not in NODES and ACTION.fullmatch(key)]
        if len(found) > 1 and "if" in found and "then" not in value:
            found.remove("if")
        if len(found) > 1:
            # A word that is a verb may also be a field of another, such as `in` or `event`.
            owners = [
                v for v in found if v in NODES and set(found) - {v} <= set(node_fields(NODES[v]))
            ]
            if len(owners) == 1:
                return owners[0]
            self.report.problem(
                place,
                f"a node has one verb; this one has {listed(found)}",
                suggestion=_below(found, value)
                or "make a list item of each, on a line of its own that begins with `- `",
            )
            return None
        if found:
            return found[0]
        others = [key for key in value if key not in common_fields()]
        if not others:
            self.report.problem(
                place,
                f"this node has no verb, only {listed(value)}" if value else "this node is empty",
                suggestion="write what it does, such as `delay: 24h`, beside them",
                code="unknown_node",
            )
            return None
        self.report.problem(
            (*place, others[0]),
            f"there is no node {others[0]!r}",
            suggestion=meant_by(others[0], self.actions),
            code="unknown_node",
        )
        return None

    def _common(self, place: Place, value: dict[str, Any], verb: str) -> dict[str, Any]:
        """The fields that every node has."""
        common: dict[str, Any] = {}
        for key, spec in common_fields().items():
            item = value.get(key)
            if key == verb or item is None:
                continue
            if key == "id":
                self._identify(place, item)
                common["id"] = str(item)
            else:
                self.places[(place, spec.attribute)] = (*place, key)
                common[spec.attribute] = self.field((*place, key), spec.type, item)
        return common

    def _identify(self, place: Place, identifier: Any) -> None:
        self.check_id((*place, "id"), identifier, "an id")
        name = str(identifier)
        if name in self.ids:
            self.report.problem(
                (*place, "id"),
                f"the id {name!r} is taken by {self.ids[name]}",
                suggestion="ids are unique within a tree: give one of the two another",
                code="duplicate_id",
            )
        self.ids[name] = path_of(place)

    def _given(
        self, place: Place, value: dict[str, Any], verb: str, kind: type[Node]
    ) -> dict[str, tuple[Place, Any]]:
        """The node's own fields: those beside the verb, and those below it."""
        known = node_fields(kind)
        given: dict[str, tuple[Place, Any]] = {}
        primary = None if kind.primary is None else kind.primary.rstrip("_")
        below = value[verb]
        if isinstance(below, dict) and (
            primary is None or names_fields(below, known, known[primary])
        ):
            given |= {key: ((*place, verb, key), item) for key, item in below.items()}
        elif primary is not None:
            given[primary] = ((*place, verb), below)
        elif below is not None:
            self.report.problem(
                (*place, verb),
                f"`{verb}` takes named fields, not {kind_of(below)}",
                suggestion=f"its fields: {listed(known)}",
            )
        for key, item in value.items():
            if key != verb and key not in common_fields():
                given[key] = ((*place, key), item)
        for key in [key for key in given if key not in known]:
            where, _ = given.pop(key)
            if key in common_fields():
                hint: str | None = f"it stands beside the verb: indent it as deep as `{verb}`"
            else:
                hint = did_you_mean(key, [*known, *common_fields()])
            self.report.problem(
                where,
                f"`{verb}` has no field {key!r}",
                suggestion=hint or f"its fields: {listed([*known, *common_fields()])}",
                code="unknown_field",
            )
        return given

    def _action(
        self, place: Place, value: dict[str, Any], verb: str, common: dict[str, Any]
    ) -> Node | None:
        arguments = value[verb]
        if self.actions is not None and verb not in self.actions:
            self.report.problem(
                (*place, verb),
                f"no installed connector has the action {verb!r}",
                suggestion=did_you_mean(verb, self.actions) or f"installed: {listed(self.actions)}",
                code="unknown_action",
            )
            return None
        astray = self._strays(place, value, verb, arguments)
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            self.report.problem(
                (*place, verb),
                f"the arguments of `{verb}` are {kind_of(arguments)}, and are a mapping",
                suggestion="write each as `name: value` on a line of its own below it",
            )
            return None
        if self.actions is not None and not astray:
            check_arguments((*place, verb), arguments, self.actions[verb], self.report)
        self.places[(place, "arguments")] = (*place, verb)
        template = self.template((*place, verb), arguments)
        if template is None:
            return None
        return CallAction(
            path=path_of(place),
            place=place,
            action=verb,
            arguments=template,
            connection=self.text((*place, "connection"), value.get("connection")),
            **common,
        )

    def _strays(self, place: Place, value: dict[str, Any], verb: str, arguments: Any) -> bool:
        """Note keys beside an action that no node has. True if they are arguments, not indented."""
        known: Iterable[str] = (verb, "connection", *common_fields())
        astray = False
        for key in value:
            if key in known:
                continue
            if arguments is None:
                astray = True
                hint: str | None = f"if it is an argument of `{verb}`, indent it deeper"
            else:
                hint = did_you_mean(key, known)
            self.report.problem(
                (*place, key),
                f"`{verb}` has no field {key!r}",
                suggestion=hint or f"its fields: {listed(known)}",
                code="unknown_field",
            )
        return astray


def _below(found: list[str], value: Mapping[str, Any]) -> str | None:
    """What to write where one of several verbs is meant as a part of another."""
    for verb in found:
        if verb not in NODES:
            continue
        for key, spec in node_fields(NODES[verb]).items():
            primary = (NODES[verb].primary or "").rstrip("_")
            if spec.required and key != primary and key not in value and holds_nodes(spec.type):
                others = listed(other for other in found if other != verb)
                return f"write {others} below `{key}:`: {spec.doc}"
    return None


def names_fields(
    value: Mapping[str, Any], known: Mapping[str, FieldSpec], primary: FieldSpec
) -> bool:
    """Are the keys of what stands after a verb the names of its fields?

    Where the verb's own value may be a mapping too, they are only if that value is among them.
    """
    options = options_of(primary.type)
    if any(str(option).startswith("dict") for option in options):
        return False
    if any(option in (Node, Template, Any) or is_struct(option) for option in options):
        return primary.key in value and all(key in known for key in value)
    return any(key in known for key in value)
