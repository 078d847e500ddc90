"""A new project: `hub init DIR`."""

from __future__ import annotations

import os
import re
import secrets
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hub.errors import Conflict, WrongUsage

__all__ = ["create_project"]

_RENAMED = {"env.example": ".env.example", "gitignore": ".gitignore"}
_SECRET = "APP_WEBHOOK_SECRET="  # noqa: S105  (a variable's name)


def create_project(folder: Path) -> list[Path]:
    """Write a project with one working tree into an empty or new folder; the files, in order.

    A `.env` with a fresh secret is made beside its example, readable by its owner alone. Raises
    `Conflict` when something is there already, and `WrongUsage` when nothing can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Conflict(f"{folder} is not empty; name a new folder, or an empty one")
        written = sorted(_copy(files("hub.cli") / "new_project", folder, _name(folder)))
        written.append(_write_env(folder))
    except OSError as error:
        raise WrongUsage(f"{folder} cannot be written: {error.strerror}") from None
    return written


def _copy(source: Traversable, target: Path, name: str) -> list[Path]:
    written: list[Path] = []
    for entry in source.iterdir():
        path = target / _RENAMED.get(entry.name, entry.name)
        if entry.is_dir():
            path.mkdir()
            written += _copy(entry, path, name)
        else:
            text = entry.read_text(encoding="utf-8")
            path.write_text(text.replace("__NAME__", name), encoding="utf-8")
            written.append(path)
    return written


def _write_env(folder: Path) -> Path:
    example = (folder / ".env.example").read_text(encoding="utf-8")
    path = folder / ".env"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(example.replace(_SECRET, _SECRET + secrets.token_urlsafe(32)))
    return path


def _name(folder: Path) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return words if words[:1].isalpha() else f"project-{words}".rstrip("-")
