"""The commands that work on a project's folder: `dev`, `init`, `validate`, `doctor`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.load import load

__all__ = ["dev", "doctor", "init", "validate"]

Folder = Annotated[Path, typer.Argument(metavar="[PROJECT]", help="The project's folder.")]


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")]) -> None:
    """Make a new project: one working tree, its test, templates and a .env."""
    from hub.cli.init import create_project
    from hub.cli.screen import console

    written = create_project(folder)
    screen = console()
    for path in written:
        screen.print(f"  {path}", markup=False, soft_wrap=True)
    screen.print(f"\nStart it:  hub dev {folder}", markup=False, soft_wrap=True)


def dev(project: Folder = Path()) -> None:
    """Run everything from one command, with embedded parts; reloads when files change."""
    from hub.dev.screen import Screen

    began = time.monotonic()
    with Screen() as screen:
        # Reading the code of all the parts takes the longest, so something is said before.
        screen.step("starting")
        from hub.dev.develop import run_dev

        run_dev(project, screen, began=began)


def validate(
    project: Folder = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="The faults as JSON.")] = False,
) -> None:
    """Check a project: every fault with its place. The exit code is 1 when there is an error."""
    import msgspec

    from hub.cli.screen import console, print_fault, print_json
    from hub.errors import InvalidDefinition

    try:
        loaded = load(project)
        faults, trees, valid = loaded.diagnostics, sorted(loaded.trees), loaded.is_valid
    except InvalidDefinition as error:
        faults, trees, valid = error.diagnostics, [], False
    if as_json:
        print_json(msgspec.json.encode({"valid": valid, "diagnostics": faults}).decode())
    else:
        for fault in faults:
            print_fault(fault)
        if valid:
            count = f"{len(trees)} tree{'' if len(trees) == 1 else 's'}"
            console().print(f"[green]✓ valid[/]: {count}")
        else:
            errors = sum(fault.severity == "error" for fault in faults)
            console(error=True).print(
                f"[bold red]✗ not valid[/]: {errors} error{'' if errors == 1 else 's'}"
            )
    raise typer.Exit(0 if valid else 1)


def doctor(
    project: Folder = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """What is installed, configured and reachable, and what is wrong."""
    import msgspec

    from hub.cli.doctor import examine
    from hub.cli.screen import console, print_json

    findings = examine(project)
    if as_json:
        print_json(msgspec.json.encode({"items": findings}).decode())
    else:
        screen = console()
        signs = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "bold red")}
        for finding in findings:
            sign, style = signs[finding.status]
            screen.print(f"{sign} {finding.status:<7}", style=style, end="  ")
            screen.print(f"{finding.name}: {finding.detail}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if any(f.status == "wrong" for f in findings) else 0)
