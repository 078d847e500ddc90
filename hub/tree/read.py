"""From a plain document to a tree, with everything that is wrong with it found at once."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, Literal, get_args, get_origin

import msgspec

from hub.connector import Action
from hub.durations import parse_duration
from hub.errors import Diagnostic, ExpressionError, InvalidDefinition, InvalidDuration
from hub.expressions import Expression, Template, compile_expression, compile_template
from hub.tree.node import NODES, Node, Retry, Span, Subscribed
from hub.tree.nodes import CallAction, Sequence
from hub.tree.tree import StartPolicy, Subscription, Tree, content_hash, encode_document
from hub.tree.yaml import Document, read_yaml

__all__ = ["load_tree", "read_tree", "tree_from_document"]

_ID = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_TREE_KEYS = ("tree", "title", "description", "events", "start", "vars", "do")
_COMMON = ("id", "name", "if", "timeout", "retry", "abort_on")
_EVENT_KEYS = ("where", "key")

Place = tuple[str | int, ...]


def load_tree(
    text: str | bytes,
    *,
    file: str | None = None,
    actions: Mapping[str, Action] | None = None,
    kinds: Iterable[str] | None = None,
) -> Tree:
    """Read a tree from YAML.

    `actions` are the installed connectors' actions and `kinds` the installed kinds of trigger;
    without them any name will do. Raises `InvalidDefinition` with all that is wrong, each with
    its file, line and column.
    """
    document = read_yaml(text, file=file)
    return read_tree(document.value, document=document, file=file, actions=actions, kinds=kinds)


def read_tree(
    value: Any,
    *,
    document: Document | None = None,
    file: str | None = None,
    actions: Mapping[str, Action] | None = None,
    kinds: Iterable[str] | None = None,
) -> Tree:
    """Read a tree from its plain document. Raises `InvalidDefinition`."""
    reader = _Reader(document, file, actions, kinds)
    tree = reader.tree(value)
    if tree is None or any(d.severity == "error" for d in reader.diagnostics):
        raise InvalidDefinition(reader.diagnostics)
    return tree


@lru_cache(maxsize=1024)
def tree_from_document(encoded: bytes) -> Tree:
    """The tree that a run carries with it; read once per definition and process."""
    return read_tree(msgspec.json.decode(encoded))


class _Reader:
    def __init__(
        self,
        document: Document | None,
        file: str | None,
        actions: Mapping[str, Action] | None,
        kinds: Iterable[str] | None,
    ) -> None:
        self.document = document
        self.file = file
        self.actions = actions
        self.kinds = None if kinds is None else sorted(kinds)
        self.diagnostics: list[Diagnostic] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.ids: dict[str, str] = {}

    def problem(
        self, place: Place, message: str, *, suggestion: str | None = None, code: str = "invalid"
    ) -> None:
        position = self.document.position(place) if self.document else None
        self.diagnostics.append(
            Diagnostic(
                message=message,
                path=_path(place),
                code=code,
                suggestion=suggestion,
                file=self.file,
                line=position[0] if position else None,
                column=position[1] if position else None,
            )
        )

    # -- the document ---------------------------------------------------------------------

    def tree(self, value: Any) -> Tree | None:
        if not isinstance(value, dict):
            self.problem((), "a tree is a mapping", suggestion="begin with `tree: <name>`")
            return None
        self._unknown_keys((), value, _TREE_KEYS, "a tree")
        name = value.get("tree")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.problem(
                ("tree",),
                "a tree has a name: lower-case letters, digits, - and _",
                suggestion="write `tree: user-onboarding` in the first line",
            )
            name = "tree"
        self._events(value.get("events"))
        start = self._start(value.get("start"), "start" in value)
        variables = self._templates(("vars",), value.get("vars") or {})
        if "do" not in value:
            self.problem((), "the tree does nothing", suggestion="add `do:` with a list of nodes")
            return None
        root = self.body(("do",), value["do"])
        if root is None or start is None:
            return None
        encoded = encode_document(value)
        return Tree(
            name=name,
            title=self._text(("title",), value.get("title")),
            description=self._text(("description",), value.get("description")),
            document=encoded,
            hash=content_hash(encoded),
            subscriptions=self.subscriptions,
            start=start,
            vars=variables,
            do=root,
        )

    def _text(self, place: Place, value: Any) -> str | None:
        if value is not None and not isinstance(value, str):
            self.problem(place, "this is a text", suggestion="put it in quotes")
            return None
        return value

    def _events(self, value: Any) -> None:
        if not isinstance(value, dict) or not value:
            self.problem(
                ("events",),
                "a tree names the events that it is about",
                suggestion="add `events: {signed_up: {webhook: app, where: ..., key: ...}}`",
            )
            return
        for name, spec in value.items():
            place: Place = ("events", name)
            self._check_id(place, name, "an event's name")
            if not isinstance(spec, dict):
                self.problem(
                    place,
                    "an event says where it comes in",
                    suggestion="write `webhook: <trigger>`, and `where:` and `key:` below it",
                )
                continue
            sources = [key for key in spec if key not in _EVENT_KEYS]
            if len(sources) != 1:
                self.problem(
                    place,
                    "an event comes in at one place"
                    if not sources
                    else f"an event comes in at one place, not at {_listed(sources)}",
                    suggestion="write one of `webhook: <trigger>`, `kafka: <trigger>`, "
                    "`schedule: <trigger>`",
                )
                continue
            kind = sources[0]
            if self.kinds is not None and kind not in self.kinds:
                self.problem(
                    (*place, kind),
                    f"{kind!r} is no kind of trigger and no key of an event",
                    suggestion=_did_you_mean(kind, [*self.kinds, *_EVENT_KEYS]),
                )
            trigger = spec[kind]
            if not isinstance(trigger, str) or not trigger:
                self.problem((*place, kind), "this is the name of a trigger of hub.yaml")
                continue
            self.subscriptions[name] = Subscription(
                name=name,
                kind=kind,
                trigger=trigger,
                where=self._expression((*place, "where"), spec.get("where")),
                key=self._expression((*place, "key"), spec.get("key")),
            )

    def _start(self, value: Any, given: bool) -> StartPolicy | None:
        place: Place = ("start",)
        if isinstance(value, dict):
            self._unknown_keys(place, value, ("event",), "`start`")
            place, value = ("start", "event"), value.get("event")
        if not isinstance(value, str):
            self.problem(
                place if given else (),
                "a tree is started by one of its events",
                suggestion="write `start: <the event's name>`",
            )
            return None
        return StartPolicy(event=self._subscribed(place, value))

    # -- nodes ----------------------------------------------------------------------------

    def body(self, place: Place, value: Any) -> Node | None:
        """One node, or a list of them, which is a sequence."""
        if not isinstance(value, list):
            return self.node(place, value)
        if not value:
            self.problem(place, "the list is empty", suggestion="write at least one node")
        return Sequence(path=_path(place), place=place, steps=self._nodes(place, value))

    def _nodes(self, place: Place, value: Any) -> list[Node]:
        if not isinstance(value, list):
            self.problem(place, "this is a list of nodes", suggestion="begin each with `- `")
            return []
        nodes = (self.node((*place, index), item) for index, item in enumerate(value))
        return [node for node in nodes if node is not None]

    def node(self, place: Place, value: Any) -> Node | None:
        if isinstance(value, list):
            return self.body(place, value)
        if isinstance(value, str) and (value in NODES or _ACTION.fullmatch(value)):
            value = {value: None}
        if not isinstance(value, dict):
            self.problem(
                place,
                f"a node is a mapping with one verb, not {_kind_of(value)}",
                suggestion=f"known verbs: {', '.join(sorted(NODES))}, and actions like email.send",
            )
            return None
        verb = self._verb(place, value)
        if verb is None:
            return None
        common = self._common(place, value)
        if verb not in NODES:
            return self._action(place, value, verb, common)
        kind = NODES[verb]
        given = self._fields(place, value, verb, kind)
        readers = _field_types(kind)
        fields: dict[str, Any] = {}
        whole = True
        for key, (where, item) in given.items():
            read = self.field(where, readers[key].type, item)
            if read is None and item is not None:
                whole = False
            fields[readers[key].attribute] = read
        for key, spec in readers.items():
            if spec.required and fields.get(spec.attribute) is None:
                if key not in given:
                    self.problem(
                        place,
                        f"`{verb}` needs `{key}`" if key != kind.primary else f"`{verb}` is empty",
                        suggestion=spec.doc,
                    )
                whole = False
        if not whole:
            return None
        made = kind(path=_path(place), place=place, **common, **fields)
        made.check(
            lambda message, field=None, suggestion=None: self.problem(
                place if field is None else given.get(field, (place, None))[0],
                message,
                suggestion=suggestion,
            )
        )
        return made

    def _verb(self, place: Place, value: dict[str, Any]) -> str | None:
        verbs = [key for key in value if key in NODES]
        actions = [key for key in value if key not in NODES and _ACTION.fullmatch(key)]
        found = verbs + actions
        if "if" in found and "then" not in value and len(found) > 1:
            found.remove("if")
        if len(found) == 1:
            return found[0]
        if found:
            self.problem(
                place,
                f"a node has one verb; this one has {_listed(found)}",
                suggestion="make two list items of it, each with its own `- `",
            )
            return None
        others = [key for key in value if key not in _COMMON]
        guess = next((g for key in others if (g := self._guess(key))), None)
        self.problem(
            (*place, others[0]) if others else place,
            f"there is no node {others[0]!r}" if others else "this node has no verb",
            suggestion=guess or f"known verbs: {', '.join(sorted(NODES))}",
            code="unknown_node",
        )
        return None

    def _guess(self, verb: str) -> str | None:
        return _did_you_mean(verb.replace("-", "_").lower(), [*NODES, *(self.actions or ())])

    def _common(self, place: Place, value: dict[str, Any]) -> dict[str, Any]:
        common: dict[str, Any] = {}
        identifier = value.get("id")
        if identifier is not None:
            self._check_id((*place, "id"), identifier, "an id")
            if identifier in self.ids:
                self.problem(
                    (*place, "id"),
                    f"the id {identifier!r} is taken by {self.ids[identifier]}",
                    suggestion="ids are unique within a tree",
                )
            self.ids[str(identifier)] = _path(place)
            common["id"] = str(identifier)
        common["name"] = self._text((*place, "name"), value.get("name"))
        if "then" not in value:
            common["if_"] = self._expression((*place, "if"), value.get("if"))
        common["timeout"] = self._span((*place, "timeout"), value.get("timeout"))
        common["retry"] = self._retry((*place, "retry"), value.get("retry"))
        if value.get("abort_on") is not None:
            common["abort_on"] = self._subscribed((*place, "abort_on"), value["abort_on"])
        return common

    def _fields(
        self, place: Place, value: dict[str, Any], verb: str, kind: type[Node]
    ) -> dict[str, tuple[Place, Any]]:
        """The node's own fields: those beside the verb, and those below it."""
        known = _field_types(kind)
        given: dict[str, tuple[Place, Any]] = {}
        primary = None if kind.primary is None else kind.primary.rstrip("_")
        below = value[verb]
        if isinstance(below, dict) and (
            primary is None
            or (known[primary].type not in _MAPPINGS and _names_fields(below, known))
        ):
            given |= {key: ((*place, verb, key), item) for key, item in below.items()}
        elif primary is not None:
            if below is not None:
                given[primary] = ((*place, verb), below)
        elif below is not None:
            self.problem((*place, verb), f"`{verb}` takes named fields: {_listed(known)}")
        for key, item in value.items():
            if key == verb or key in _COMMON:
                continue
            given[key] = ((*place, key), item)
        for key in list(given):
            if key not in known:
                where, _ = given.pop(key)
                self.problem(
                    where,
                    f"`{verb}` has no field {key!r}",
                    suggestion=_did_you_mean(key, [*known, *_COMMON])
                    or f"its fields: {_listed([*known, *_COMMON])}",
                    code="unknown_field",
                )
        return given

    def _action(
        self, place: Place, value: dict[str, Any], verb: str, common: dict[str, Any]
    ) -> Node | None:
        self._unknown_keys(place, value, (verb, "connection", *_COMMON), f"`{verb}`")
        if self.actions is not None and verb not in self.actions:
            self.problem(
                (*place, verb),
                f"no installed connector has the action {verb!r}",
                suggestion=_did_you_mean(verb, self.actions)
                or f"installed: {_listed(self.actions)}",
                code="unknown_action",
            )
            return None
        arguments = value[verb]
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            self.problem((*place, verb), f"the arguments of `{verb}` are a mapping")
            return None
        if self.actions is not None:
            self._check_arguments((*place, verb), arguments, self.actions[verb])
        template = self._template((*place, verb), arguments)
        if template is None:
            return None
        return CallAction(
            path=_path(place),
            place=place,
            action=verb,
            arguments=template,
            connection=self._text((*place, "connection"), value.get("connection")),
            **common,
        )

    def _check_arguments(self, place: Place, arguments: dict[str, Any], action: Action) -> None:
        fields = {f.encode_name: f for f in msgspec.structs.fields(action.input)}
        for key in arguments:
            if key not in fields:
                self.problem(
                    (*place, key),
                    f"`{action.name}` has no argument {key!r}",
                    suggestion=_did_you_mean(key, fields) or f"its arguments: {_listed(fields)}",
                    code="unknown_field",
                )
        for key, spec in fields.items():
            if key not in arguments and spec.required:
                self.problem(place, f"`{action.name}` needs the argument {key!r}")
            elif key in arguments and self._is_static(arguments[key]):
                try:
                    msgspec.convert(arguments[key], spec.type)
                except msgspec.ValidationError as error:
                    self.problem((*place, key), f"the argument {key!r} does not fit: {error}")

    def _is_static(self, value: Any) -> bool:
        try:
            return compile_template(value).is_static
        except ExpressionError:
            return False

    # -- fields ---------------------------------------------------------------------------

    def field(self, place: Place, kind: Any, value: Any) -> Any:
        """One field's value by the type that its class declares for it."""
        if value is None:
            return None
        origin = get_origin(kind)
        if origin is types.UnionType or origin is typing.Union:
            kind = next(option for option in get_args(kind) if option is not type(None))
            origin = get_origin(kind)
        if kind is Template:
            return self._template(place, value)
        if kind is Expression:
            return self._expression(place, value)
        if kind is Span:
            return self._span(place, value)
        if kind is Subscribed:
            return self._subscribed(place, value)
        if kind is Node:
            return self.body(place, value)
        if origin is list and get_args(kind) == (Node,):
            return self._nodes(place, value)
        if origin is list and get_args(kind) == (Subscribed,):
            return [self._subscribed((*place, i), v) for i, v in enumerate(value)]
        if origin is dict and get_args(kind) == (str, Node):
            return self._branches(place, value)
        if origin is dict and get_args(kind) == (str, Template):
            return self._templates(place, value)
        if origin is Literal:
            return self._choice(place, get_args(kind), value)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            self.problem(place, f"this is {_kind_of(value)}, and should be {_english(kind)}")
            return None

    def _choice(self, place: Place, choices: tuple[Any, ...], value: Any) -> Any:
        if value in choices:
            return value
        self.problem(
            place,
            f"{value!r} is not one of {_listed(choices)}",
            suggestion=_did_you_mean(str(value), [str(c) for c in choices]),
        )
        return None

    def _branches(self, place: Place, value: Any) -> dict[str, Node] | None:
        if not isinstance(value, dict):
            self.problem(place, "this is a mapping from values to nodes")
            return None
        read = {key: self.body((*place, key), item) for key, item in value.items()}
        return {key: node for key, node in read.items() if node is not None}

    def _expression(self, place: Place, value: Any) -> Expression | None:
        if value is None:
            return None
        if isinstance(value, (bool, int, float)):
            value = str(value).lower() if isinstance(value, bool) else str(value)
        if not isinstance(value, str):
            self.problem(place, f"an expression is a text, not {_kind_of(value)}")
            return None
        try:
            return compile_expression(value)
        except ExpressionError as error:
            self.problem(place, error.message, suggestion=error.suggestion, code="expression")
            return None

    def _template(self, place: Place, value: Any) -> Template | None:
        try:
            return compile_template(value)
        except ExpressionError as error:
            inner = self._culprit(place, value)
            self.problem(inner, error.message, suggestion=error.suggestion, code="expression")
            return None

    def _culprit(self, place: Place, value: Any) -> Place:
        """The innermost part whose template does not compile."""
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, item in items:
            try:
                compile_template(item)
            except ExpressionError:
                return self._culprit((*place, key), item)
        return place

    def _templates(self, place: Place, value: Any) -> dict[str, Template]:
        if not isinstance(value, dict):
            self.problem(place, "this is a mapping of names to values")
            return {}
        read: dict[str, Template] = {}
        for name, item in value.items():
            self._check_id((*place, name), name, "a variable's name")
            template = self._template((*place, name), item)
            if template is not None:
                read[name] = template
        return read

    def _span(self, place: Place, value: Any) -> Span | None:
        if value is None:
            return None
        if isinstance(value, str) and "${{" in value:
            template = self._template(place, value)
            return None if template is None else Span(template=template)
        try:
            return Span(fixed=parse_duration(value))
        except InvalidDuration as error:
            self.problem(place, error.message, code="invalid_duration")
            return None

    def _retry(self, place: Place, value: Any) -> Retry | None:
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            value = {"attempts": value}
        if not isinstance(value, dict):
            self.problem(place, "`retry` is a mapping", suggestion="write `retry: {attempts: 5}`")
            return None
        known = [f.name for f in dataclasses.fields(Retry)]
        self._unknown_keys(place, value, known, "`retry`")
        read: dict[str, Any] = {}
        for key, kind in (("attempts", int), ("factor", float)):
            if key in value:
                number = self.field((*place, key), kind, value[key])
                if number is not None and number < (0 if key == "attempts" else 1):
                    self.problem((*place, key), f"`{key}` is too small")
                elif number is not None:
                    read[key] = number
        for key in ("backoff", "max"):
            span = self._span((*place, key), value.get(key))
            if span is not None and span.fixed is not None:
                read[key] = span.fixed
            elif span is not None:
                self.problem((*place, key), f"`{key}` is a fixed length of time")
        unless = value.get("unless")
        if unless is not None:
            codes = [unless] if isinstance(unless, str) else unless
            checked = self.field((*place, "unless"), list[str], codes)
            read["unless"] = tuple(checked or ())
        if read.get("backoff", timedelta(1)) == timedelta(0):
            read["factor"] = 1.0
        return Retry(**read)

    def _subscribed(self, place: Place, value: Any) -> Subscribed:
        if not isinstance(value, str):
            self.problem(place, f"this is the name of an event, not {_kind_of(value)}")
            return Subscribed("")
        if value not in self.subscriptions:
            self.problem(
                place,
                f"the tree has no event {value!r}",
                suggestion=_did_you_mean(value, self.subscriptions)
                or (f"its events: {_listed(self.subscriptions)}" if self.subscriptions else None),
                code="unknown_event",
            )
        return Subscribed(value)

    def _check_id(self, place: Place, value: Any, what: str) -> None:
        if isinstance(value, str) and _ID.fullmatch(value):
            return
        hint = None
        if isinstance(value, str):
            better = re.sub(r"[^a-z0-9_]+", "_", value.lower()).strip("_")
            hint = f"write {better!r}" if _ID.fullmatch(better) else None
        self.problem(
            place, f"{what} is lower-case letters, digits and _, not {value!r}", suggestion=hint
        )

    def _unknown_keys(
        self, place: Place, value: dict[str, Any], known: Iterable[str], what: str
    ) -> None:
        for key in value:
            if key not in known:
                self.problem(
                    (*place, key),
                    f"{what} has no field {key!r}",
                    suggestion=_did_you_mean(key, known) or f"its fields: {_listed(known)}",
                    code="unknown_field",
                )


@dataclasses.dataclass(frozen=True)
class _Field:
    attribute: str
    type: Any
    required: bool
    doc: str | None


_MAPPINGS = (Template, dict[str, Template], dict[str, Node], Node)


@cache
def _field_types(kind: type[Node]) -> dict[str, _Field]:
    """A class's own fields by the key that trees write."""
    hints = typing.get_type_hints(kind, include_extras=True)
    inherited = {spec.name for spec in dataclasses.fields(Node)}
    read: dict[str, _Field] = {}
    for spec in dataclasses.fields(kind):
        if spec.name in inherited:
            continue
        hint = hints[spec.name]
        doc = None
        if get_origin(hint) is typing.Annotated:
            hint, *marks = get_args(hint)
            doc = next((m.text for m in marks if hasattr(m, "text")), None)
        required = (
            spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        )
        read[spec.name.rstrip("_")] = _Field(spec.name, hint, required, doc)
    return read


def _names_fields(value: dict[str, Any], known: Iterable[str]) -> bool:
    return bool(value) and any(key in known for key in value)


def _path(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _english(kind: Any) -> str:
    return _WORDS.get(kind, "a list of texts" if kind == list[str] else str(kind))


def _kind_of(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _WORDS.get(type(value), type(value).__name__)
