"""A project: a folder with `hub.yaml` and `trees/*.yaml`, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.connections import Connections
from hub.connector import installed_actions
from hub.errors import Diagnostic, HubError, InvalidDefinition, NodeFailed, NotFound
from hub.routing.router import CALLBACK
from hub.secrets import resolve
from hub.sign_in import SignInSettings, read_sign_in
from hub.tree import Tree, check_trees, load_tree
from hub.tree.events import API
from hub.tree.nodes import Emit
from hub.tree.nodes.approval import Approval, names_in
from hub.tree.report import Report
from hub.tree.words import did_you_mean, listed
from hub.tree.yaml import Document, read_yaml
from hub.trigger import Trigger, installed_triggers

__all__ = ["Project", "load_project"]

_KEYS = ("name", "triggers", "connections", "groups", "auth", "dev")
# The router believes what comes in under these names: nobody outside may use them.
_RESERVED = (CALLBACK, API)


@dataclass(frozen=True, kw_only=True)
class Project:
    """What a project's files say. `diagnostics` tells what of them cannot be used, and why."""

    path: Path
    name: str
    triggers: Mapping[str, Trigger]
    trees: Mapping[str, Tree]
    connections: Connections
    files: Mapping[str, str]
    """Each tree's file, relative to the project."""
    dev: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    """People by the names under which approvals ask them."""
    sign_in: SignInSettings | None = field(default_factory=SignInSettings)
    """How people sign in; None where the section is wrong, so that nobody can."""
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Is there nothing wrong with it but warnings?"""
        return all(d.severity != "error" for d in self.diagnostics)


def load_project(
    path: Path,
    env: Mapping[str, str],
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    before: Project | None = None,
) -> Project:
    """Read a project.

    `overrides` are settings by connector or kind of trigger that are laid over the project's own.
    What is wrong stands in the result's `diagnostics`, and the rest of the project works. Where
    `before` is given, a part that has become wrong stays as it was there. Raises `NotFound` when
    there is no `hub.yaml`.
    """
    file = path / "hub.yaml"
    if not file.is_file():
        raise NotFound(f"{path} is no project: it has no hub.yaml; `hub init {path}` makes one")
    reader = _Reader(path, env, overrides, before)
    return reader.project(file)


class _Reader:
    def __init__(
        self,
        path: Path,
        env: Mapping[str, str],
        overrides: Mapping[str, Mapping[str, Any]] | None,
        before: Project | None,
    ) -> None:
        self.path = path
        self.env = env
        self.overrides = overrides
        self.before = before
        self.diagnostics: list[Diagnostic] = []
        self.document: Document | None = None

    def project(self, file: Path) -> Project:
        value = self._hub_yaml(file)
        triggers = self._triggers(value.get("triggers"))
        connections = Connections(
            self.path, value.get("connections"), self.env, overrides=self.overrides
        )
        for problem in connections.check():
            self._place(problem)
        groups = self._groups(value.get("groups"))
        trees, files = self._trees(triggers)
        self._check_groups(trees, files, groups)
        triggers |= _written_in(trees)
        sign_in = self._sign_in(value.get("auth"))
        name, dev = value.get("name"), value.get("dev")
        return Project(
            path=self.path,
            name=name if isinstance(name, str) else self.path.resolve().name,
            triggers=triggers,
            trees=trees,
            connections=connections,
            files=files,
            dev=dev if isinstance(dev, dict) else {},
            groups=groups,
            sign_in=sign_in,
            diagnostics=self.diagnostics,
        )

    def _hub_yaml(self, file: Path) -> dict[str, Any]:
        try:
            self.document = read_yaml(file.read_bytes(), file="hub.yaml")
        except InvalidDefinition as error:
            self.diagnostics.extend(error.diagnostics)
            return {}
        value = self.document.value
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._problem("hub.yaml is a mapping", ())
            return {}
        for key in value:
            if key not in _KEYS:
                self._problem(f"hub.yaml has no part {key!r}; it has {', '.join(_KEYS)}", (key,))
        return value

    def _problem(self, message: str, place: tuple[str | int, ...]) -> None:
        self._place(Diagnostic(message=message, path=".".join(map(str, place))))

    def _place(self, problem: Diagnostic) -> None:
        """Add what is wrong in hub.yaml, with its line."""
        position = None
        if self.document is not None:
            position = self.document.position(tuple(problem.path.split(".")))
        self.diagnostics.append(
            Diagnostic(
                message=problem.message,
                path=problem.path,
                code=problem.code,
                severity=problem.severity,
                suggestion=problem.suggestion,
                file="hub.yaml",
                line=position[0] if position else None,
                column=position[1] if position else None,
            )
        )

    # -- triggers -------------------------------------------------------------------------

    def _triggers(self, value: Any) -> dict[str, Trigger]:
        triggers: dict[str, Trigger] = {}
        if value is None:
            return triggers
        if not isinstance(value, dict):
            self._problem("`triggers` is a mapping of names to triggers", ("triggers",))
            return triggers
        for name, spec in value.items():
            made = self._trigger(name, spec)
            if made is None and self.before is not None:
                made = self.before.triggers.get(name)
            if made is not None:
                triggers[name] = made
        return triggers

    def _trigger(self, name: str, spec: Any) -> Trigger | None:
        kinds = installed_triggers()
        place = ("triggers", name)
        if name in _RESERVED:
            self._problem(f"{name!r} is the hub's own; give the trigger another name", place)
            return None
        if not isinstance(spec, dict) or len(spec) != 1:
            known = ", ".join(kinds)
            self._problem(f"a trigger has one kind: `{name}: {{<kind>: ...}}` ({known})", place)
            return None
        kind, settings = next(iter(spec.items()))
        if kind not in kinds:
            self._problem(
                f"there is no kind of trigger {kind!r}; installed: {', '.join(kinds)}",
                (*place, kind),
            )
            return None
        path = ".".join((*place, kind))
        try:
            resolved = self._resolved(kinds[kind], self._overridden(kind, settings), path)
        except InvalidDefinition as error:
            for problem in error.diagnostics:
                self._place(problem)
            return None
        except HubError as error:
            self._problem(error.message, (*place, kind))
            return None
        fitted, problems = kinds[kind].read_settings(resolved, path)
        for problem in problems:
            self._place(problem)
        if fitted is None:
            return None
        try:
            return kinds[kind](name, fitted)
        except InvalidDefinition as error:
            for problem in error.diagnostics:
                self._place(
                    Diagnostic(
                        message=problem.message,
                        path=f"{path}.{problem.path}" if problem.path else path,
                        code=problem.code,
                        severity=problem.severity,
                        suggestion=problem.suggestion,
                    )
                )
            return None

    def _resolved(self, kind: type[Trigger], settings: Any, path: str) -> Any:
        """The settings with their secrets, and what is of each event left as it is."""
        if not isinstance(settings, dict):
            return resolve(settings, self.env, self.path, path)
        later = {name: value for name, value in settings.items() if name in kind.per_event}
        now = {name: value for name, value in settings.items() if name not in later}
        return resolve(now, self.env, self.path, path) | later

    def _overridden(self, kind: str, settings: Any) -> Any:
        """The settings with those that this process has laid over the project's; None removes."""
        laid_over = (self.overrides or {}).get(kind, {})
        if not laid_over or not isinstance(settings, dict):
            return settings or {}
        return {k: v for k, v in {**settings, **laid_over}.items() if v is not None}

    # -- sign-in --------------------------------------------------------------------------

    def _sign_in(self, value: Any) -> SignInSettings | None:
        try:
            settings, problems = read_sign_in(resolve(value, self.env, self.path, "auth"))
        except InvalidDefinition as error:
            settings, problems = None, error.diagnostics
        except HubError as error:
            settings, problems = None, [Diagnostic(message=error.message, path="auth")]
        for problem in problems:
            self._place(problem)
        return settings

    # -- groups ---------------------------------------------------------------------------

    def _groups(self, value: Any) -> dict[str, list[str]]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._problem("`groups` is a mapping of names to lists of people", ("groups",))
            return {}
        groups: dict[str, list[str]] = {}
        for name, members in value.items():
            try:
                if not isinstance(members, list):
                    raise NodeFailed("invalid_person", "this is no list")
                groups[str(name)] = names_in(members)
            except NodeFailed as error:
                self._problem(
                    f"a group is a list of mail addresses: {error.message}", ("groups", str(name))
                )
                if self.before is not None and name in self.before.groups:
                    groups[str(name)] = self.before.groups[name]
        return groups

    def _check_groups(
        self, trees: Mapping[str, Tree], files: Mapping[str, str], groups: Mapping[str, list[str]]
    ) -> None:
        for tree in trees.values():
            for node in tree.nodes():
                if not isinstance(node, Approval):
                    continue
                for name in node.named_groups():
                    if name not in groups:
                        self.diagnostics.append(
                            Diagnostic(
                                message=f"hub.yaml has no group {name!r}",
                                path=node.path,
                                file=files[tree.name],
                                suggestion=f"it has {', '.join(groups)}"
                                if groups
                                else f"add `groups: {{{name}: [ada@example.com]}}`",
                            )
                        )

    # -- trees ----------------------------------------------------------------------------

    def _trees(self, triggers: Mapping[str, Trigger]) -> tuple[dict[str, Tree], dict[str, str]]:
        trees: dict[str, Tree] = {}
        files: dict[str, str] = {}
        folder = self.path / "trees"
        found = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*.yml"))
        for file in found:
            if file.name.endswith((".test.yaml", ".test.yml")):
                continue
            name = file.relative_to(self.path).as_posix()
            tree = self._tree(file, name, triggers)
            if tree is None:
                continue
            if tree.name in files:
                self.diagnostics.append(
                    Diagnostic(
                        message=f"the tree {tree.name!r} is defined in {files[tree.name]} already",
                        path="tree",
                        file=name,
                        suggestion="give one of the two another name",
                    )
                )
                continue
            trees[tree.name] = tree
            files[tree.name] = name
        self.diagnostics.extend(check_trees(trees.values(), files))
        return trees, files

    def _tree(self, file: Path, name: str, triggers: Mapping[str, Trigger]) -> Tree | None:
        try:
            tree = load_tree(
                file.read_bytes(),
                file=name,
                actions=installed_actions(),
                kinds=installed_triggers(),
            )
        except InvalidDefinition as error:
            self.diagnostics.extend(error.diagnostics)
            return self._as_before(name)
        except OSError as error:
            self.diagnostics.append(Diagnostic(message=f"cannot be read: {error}", file=name))
            return self._as_before(name)
        self.diagnostics.extend(tree.warnings)
        self._check_triggers(tree, name, triggers)
        return tree

    def _as_before(self, file: str) -> Tree | None:
        if self.before is None:
            return None
        return next((t for n, t in self.before.trees.items() if self.before.files[n] == file), None)

    def _check_triggers(self, tree: Tree, file: str, triggers: Mapping[str, Trigger]) -> None:
        report = Report(tree.written, file)
        for subscription in tree.subscriptions.values():
            if subscription.settings is not None or subscription.kind == API:
                continue
            trigger = triggers.get(subscription.trigger)
            if trigger is not None and trigger.kind == subscription.kind:
                continue
            known = [n for n, t in triggers.items() if t.kind == subscription.kind]
            report.warn(
                ("events", subscription.name, subscription.kind),
                f"hub.yaml has no {subscription.kind} trigger {subscription.trigger!r}",
                suggestion=f"it has {listed(known)}" if known else "add it to `triggers`",
                code="unknown_trigger",
            )
        for node in tree.nodes():
            if isinstance(node, Emit) and node.trigger not in (*triggers, API):
                report.warn(
                    (*node.place, "trigger"),
                    f"hub.yaml has no trigger {node.trigger!r} for this event to come in at",
                    suggestion=did_you_mean(node.trigger, [*triggers, API])
                    or f"there are {listed([*triggers, API])}",
                    code="unknown_trigger",
                )
        self.diagnostics.extend(report.diagnostics)


def _written_in(trees: Mapping[str, Tree]) -> dict[str, Trigger]:
    """The triggers that stand in trees, which have checked their settings."""
    made: dict[str, Trigger] = {}
    for tree in trees.values():
        for subscription in tree.subscriptions.values():
            if subscription.settings is None:
                continue
            kind = installed_triggers()[subscription.kind]
            settings, _ = kind.read_settings(subscription.settings, "")
            if settings is not None:
                made[subscription.trigger] = kind(subscription.trigger, settings)
    return made
