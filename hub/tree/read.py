"""From YAML or a plain document to a tree, with everything that is wrong with it found at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec

from hub.connector import Action
from hub.errors import InvalidDefinition
from hub.tree.check import check_tree
from hub.tree.events import check_start, read_events, read_start
from hub.tree.explicit import translate
from hub.tree.reader import NodeReader
from hub.tree.report import Report
from hub.tree.schedules import check_schedules
from hub.tree.tree import Tree, content_hash, encode_document
from hub.tree.words import did_you_mean, kind_of, listed
from hub.tree.yaml import Document, read_yaml

__all__ = ["TREE_FIELDS", "load_tree", "read_tree", "tree_from_document"]

TREE_FIELDS = {
    "tree": "the tree's name: lower-case letters, digits, - and _",
    "title": "what people call it",
    "description": "what it is for",
    "events": "the events that the tree is about, by the names that it calls them",
    "start": "which of the events starts a run",
    "cancel_on": "an event that cancels the run when it comes; its cleaning up is still done",
    "vars": "variables, set when a run starts; `${{ }}` anywhere in a value",
    "do": "what a run does: a list of nodes, in order, or one node",
}
"""The parts of a tree, and what each says."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_HABITS = {
    "on": "write `events:` with the events, and `start:` with the name of the one that starts it",
    "name": "write `tree: user-onboarding` for the name, and `title:` for what people call it",
    "steps": "write `do:`",
    "jobs": "write `do:`",
    "nodes": "write `do:`",
    "root": "write `do:`",
    "trigger": "write `events: {<name>: {webhook: <trigger>}}` and `start: <name>`",
    "triggers": "triggers stand in hub.yaml; a tree has `events:` that come in at them",
    "variables": "write `vars:`",
    "env": "`env` is for hub.yaml; a tree has `vars:`",
}


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
    """Read a tree from its plain document, in either form. Raises `InvalidDefinition`."""
    report = Report(document, file)
    reader = NodeReader(report, actions)
    translation = translate(value, report, name=None if file is None else _stem(file))
    tree = _read(translation.value, reader, kinds)
    # What is said of a tree's meaning is of use only once all of its parts can be read.
    if tree is not None and not report.has_errors:
        check_schedules(tree, report, kinds)
        check_start(tree, report)
        check_tree(tree, report, reader.places, actions)
    if tree is None or report.has_errors:
        raise InvalidDefinition(report.in_order())
    return replace(tree, warnings=tuple(report.in_order()), written=document)


def _stem(file: str) -> str:
    return file.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


@lru_cache(maxsize=1024)
def tree_from_document(encoded: bytes) -> Tree:
    """The tree that a run carries with it; read once per definition and process."""
    # It was checked when it was loaded. A check that is newer than the run must not end the run.
    report = Report()
    tree = _read(msgspec.json.decode(encoded), NodeReader(report, None), None)
    if tree is None or report.has_errors:
        raise InvalidDefinition(report.diagnostics)
    return tree


def _read(value: Any, reader: NodeReader, kinds: Iterable[str] | None) -> Tree | None:
    report = reader.report
    if not isinstance(value, dict):
        report.problem(
            (),
            f"a tree is a mapping, and this is {kind_of(value)}",
            suggestion="begin with `tree: <name>`",
        )
        return None
    for key in value:
        if key not in TREE_FIELDS:
            report.problem(
                (key,),
                f"a tree has no field {key!r}",
                suggestion=_HABITS.get(key)
                or did_you_mean(key, TREE_FIELDS)
                or f"its fields: {listed(TREE_FIELDS)}",
                code="unknown_field",
            )
    # What stands under another tool's word for it was told just now.
    meant = {_HABITS[key].split("`")[1].split(":")[0] for key in value if key in _HABITS}
    name = value.get("tree")
    if name is None and "tree" in meant:
        name = "tree"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9_-]+", "-", str(name or "").lower()).strip("-")
        report.problem(
            ("tree",),
            "the tree has no name" if name is None else f"{name!r} is no name for a tree",
            suggestion=f"write `tree: {better if _NAME.fullmatch(better) else 'user-onboarding'}`: "
            "lower-case letters, digits, - and _",
        )
        name = "tree"
    if value.get("events") is not None or "events" not in meant:
        reader.subscriptions = read_events(value.get("events"), reader, kinds, name)
    start = read_start(value.get("start"), "start" in value, reader)
    variables = reader.templates(("vars",), {} if value.get("vars") is None else value["vars"])
    title = reader.text(("title",), value.get("title"))
    description = reader.text(("description",), value.get("description"))
    cancel_on = value.get("cancel_on")
    if cancel_on is not None:
        cancel_on = reader.subscribed(("cancel_on",), cancel_on)
    if value.get("do") is None:
        if "do" not in meant:
            report.problem(
                ("do",),
                "the tree does nothing",
                suggestion="write `do:` and below it a list of nodes",
            )
        return None
    root = reader.body(("do",), value["do"])
    if root is None or start is None:
        return None
    encoded = encode_document(value)
    return Tree(
        name=name,
        title=title,
        description=description,
        document=encoded,
        hash=content_hash(encoded),
        subscriptions=reader.subscriptions,
        start=start,
        cancel_on=cancel_on,
        vars=variables,
        do=root,
    )
