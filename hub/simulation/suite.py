"""All scenarios of a project."""

from __future__ import annotations

import difflib
from pathlib import PurePosixPath

import msgspec

from hub.errors import Diagnostic, InvalidDefinition, WrongUsage
from hub.routing.project import Project
from hub.routing.router import Router
from hub.simulation.read import load_scenarios
from hub.simulation.scenario import Scenario

__all__ = ["Suite", "load_suite"]

_ENDINGS = (".test.yaml", ".test.yml")


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The scenarios that can be lived, and what is wrong with the files of the others."""

    scenarios: list[Scenario]
    diagnostics: list[Diagnostic]


def load_suite(project: Project, router: Router, *, tree: str | None = None) -> Suite:
    """Read `trees/<tree>.test.yaml` beside each tree, or beside one.

    What is wrong with the trees themselves is among the diagnostics; what is wrong with hub.yaml
    is not, for scenarios need neither triggers nor secrets. Raises `WrongUsage` when there is no
    tree of the given name.
    """
    broken = [d for d in project.diagnostics if d.severity == "error" and d.file != "hub.yaml"]
    if tree is not None and tree not in project.trees:
        close = difflib.get_close_matches(tree, project.trees, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(project.trees)}"
        if broken:
            raise InvalidDefinition(broken)
        raise WrongUsage(f"the project has no tree {tree!r}; {hint}")
    owners = {PurePosixPath(file).stem: name for name, file in project.files.items()}
    scenarios: list[Scenario] = []
    diagnostics = broken if tree is None else []
    folder = project.path / "trees"
    for path in sorted(file for file in folder.glob("*") if file.name.endswith(_ENDINGS)):
        file = path.relative_to(project.path).as_posix()
        stem = path.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".test")
        owner = owners.get(stem, stem if stem in project.trees else None)
        if owner is None:
            if not any(PurePosixPath(d.file or "").stem == stem for d in diagnostics):
                diagnostics.append(_orphan(file, stem, list(owners)))
            continue
        if tree is not None and owner != tree:
            continue
        try:
            scenarios += load_scenarios(path.read_bytes(), project.trees[owner], router, file=file)
        except InvalidDefinition as error:
            diagnostics += error.diagnostics
        except OSError as error:
            diagnostics.append(Diagnostic(message=f"cannot be read: {error}", file=file))
    return Suite(scenarios=scenarios, diagnostics=diagnostics)


def _orphan(file: str, stem: str, known: list[str]) -> Diagnostic:
    close = difflib.get_close_matches(stem, known, n=1)
    return Diagnostic(
        message=f"there is no tree trees/{stem}.yaml for these scenarios",
        file=file,
        suggestion=f"did you mean trees/{close[0]}.test.yaml?" if close else None,
    )
