"""`hub test`: the scenarios of a project, in virtual time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hub.errors import Diagnostic
    from hub.routing.project import Project
    from hub.routing.router import Router
    from hub.simulation import Scenario, Verdict
    from hub.tree import Tree

__all__ = ["quiet_project", "run_tests"]


def run_tests(
    project: Annotated[
        Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")
    ] = Path(),
    tree: Annotated[str | None, typer.Option(help="Only the scenarios of this tree.")] = None,
    text: Annotated[
        str | None, typer.Option("-k", metavar="TEXT", help="Only those with this in their name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdicts as JSON.")] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a JUnit report too.")
    ] = None,
) -> None:
    """Run trees/*.test.yaml in virtual time. The exit code is 1 when a scenario fails."""
    from hub.routing.router import Router
    from hub.simulation import load_suite, run_scenario

    loaded = quiet_project(project)
    router = Router(loaded.trees.values(), groups=loaded.groups)
    suite = load_suite(loaded, router, tree=tree)
    chosen = [s for s in suite.scenarios if text is None or text.lower() in _title(s).lower()]
    verdicts: list[Verdict] = []
    seconds: list[float] = []
    for scenario in chosen:
        began = time.perf_counter()
        verdicts.append(run_scenario(scenario, router))
        seconds.append(time.perf_counter() - began)
        if not as_json:
            _print_verdict(verdicts[-1], router.trees[scenario.tree])
    if junit is not None:
        _write_junit(junit, verdicts, seconds, suite.diagnostics, router)
    passed = sum(verdict.passed for verdict in verdicts)
    failed = len(verdicts) - passed
    if as_json:
        _print_json(verdicts, suite.diagnostics)
    else:
        _print_summary(passed, failed, suite.diagnostics, nothing=not suite.scenarios)
    missed = bool(suite.scenarios) and not chosen
    raise typer.Exit(1 if failed or suite.diagnostics or missed else 0)


def quiet_project(folder: Path) -> Project:
    """The project, without what its parts log while they are made: no part is going to run."""
    from structlog.testing import capture_logs

    from hub.routing.project import load_project
    from hub.settings import read_environment

    with capture_logs():
        return load_project(folder, read_environment(folder))


def _title(scenario: Scenario) -> str:
    return f"{scenario.tree}: {scenario.name}"


def _print_verdict(verdict: Verdict, tree: Tree) -> None:
    from rich.text import Text

    from hub.cli.screen import console
    from hub.cli.verdict import draw_verdict
    from hub.durations import format_duration

    screen = console()
    title = _title(verdict.scenario)
    if not verdict.passed:
        screen.print(Text.assemble(("✗ failed  ", "bold red"), title), soft_wrap=True)
        screen.print(draw_verdict(verdict, tree))
        return
    run = verdict.run
    lasts = None if run is None else run.lasts
    waits = "" if run is None else "waits for " + ", ".join(run.state.waiting_for)
    note = waits if lasts is None else format_duration(lasts)
    screen.print(
        Text.assemble(("✓ passed  ", "green"), title, (f"  ({note})", "dim")), soft_wrap=True
    )


def _print_summary(
    passed: int, failed: int, diagnostics: list[Diagnostic], *, nothing: bool
) -> None:
    from hub.cli.screen import console, print_fault

    for fault in diagnostics:
        print_fault(fault)
    if nothing and not diagnostics:
        console(error=True).print("no scenarios: write some in trees/<tree>.test.yaml")
    invalid = f", {len(diagnostics)} invalid" if diagnostics else ""
    style = "bold red" if failed or diagnostics else "green"
    console().print(f"{passed} passed, {failed} failed{invalid}", style=style, soft_wrap=True)


def _print_json(verdicts: list[Verdict], diagnostics: list[Diagnostic]) -> None:
    import msgspec

    from hub.cli.screen import print_json

    passed = sum(verdict.passed for verdict in verdicts)
    document = {
        "passed": passed,
        "failed": len(verdicts) - passed,
        "diagnostics": diagnostics,
        "scenarios": [_verdict_document(verdict) for verdict in verdicts],
    }
    print_json(msgspec.json.encode(document).decode())


def _verdict_document(verdict: Verdict) -> dict[str, Any]:
    scenario, run, simulation = verdict.scenario, verdict.run, verdict.simulation
    return {
        "tree": scenario.tree,
        "name": scenario.name,
        "file": scenario.file,
        "line": scenario.line,
        "passed": verdict.passed,
        "differences": verdict.differences,
        "run": None if run is None else run.state,
        "calls": [] if run is None or simulation is None else simulation.calls_of(run),
        "events": [] if simulation is None else simulation.events,
    }


def _write_junit(
    file: Path,
    verdicts: list[Verdict],
    seconds: list[float],
    diagnostics: list[Diagnostic],
    router: Router,
) -> None:
    from xml.etree import ElementTree as Xml

    from hub.cli.verdict import verdict_as_text
    from hub.errors import WrongUsage

    failures = sum(not verdict.passed for verdict in verdicts)
    suite = Xml.Element(
        "testsuite",
        name="hub test",
        tests=str(len(verdicts) + len(diagnostics)),
        failures=str(failures),
        errors=str(len(diagnostics)),
        time=f"{sum(seconds):.3f}",
    )
    for verdict, took in zip(verdicts, seconds, strict=True):
        scenario = verdict.scenario
        case = Xml.SubElement(
            suite,
            "testcase",
            classname=scenario.tree,
            name=scenario.name,
            file=scenario.file or "",
            line=str(scenario.line or 0),
            time=f"{took:.3f}",
        )
        if not verdict.passed:
            first = verdict.differences[0]
            said = f"{first.what}: expected {first.expected}, got {first.got}"
            details = verdict_as_text(verdict, router.trees[scenario.tree])
            Xml.SubElement(case, "failure", message=_xml(said)).text = _xml(details)
    for fault in diagnostics:
        place = fault.file or "project"
        case = Xml.SubElement(suite, "testcase", classname=place, name=_xml(fault.message))
        Xml.SubElement(case, "error", message=_xml(fault.message)).text = _xml(str(fault))
    root = Xml.Element("testsuites")
    root.append(suite)
    try:
        Xml.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from None


def _xml(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
