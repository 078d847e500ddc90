"""The files of a project's trees: their text, what is wrong with it, and saving it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from hub.connector import installed_actions
from hub.errors import BadRequest, Conflict, Diagnostic, InvalidDefinition, NotFound
from hub.routing.project import Project
from hub.tree import check_trees, load_tree
from hub.trigger import installed_triggers

__all__ = ["TreeFiles", "TreeText"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")


class TreeText(msgspec.Struct, frozen=True, kw_only=True):
    """A tree's file. `file` is relative to the project; `etag` names these very bytes."""

    text: str
    file: str
    etag: str
    writable: bool


class TreeFiles:
    """The files under `trees/` of the project in a folder; they are only read unless `may_write`."""

    def __init__(
        self, folder: Path, project: Callable[[], Project], *, may_write: bool = True
    ) -> None:
        self._folder = folder
        self._project = project
        self.may_write = may_write
        self._writing = threading.Lock()

    def read(self, name: str) -> TreeText | None:
        """The file that the tree was read from, as it is now; None where there is none."""
        file = self._project().files.get(name)
        if file is None:
            return None
        path = self._folder / file
        try:
            content = path.read_bytes()
            text = content.decode()
        except (OSError, UnicodeDecodeError):
            return None
        writable = self.may_write and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        return TreeText(text=text, file=file, etag=_etag(content), writable=writable)

    def tests(self, name: str) -> TreeText | None:
        """The file of the tree's scenarios; None where there is none."""
        file = self._project().files.get(name)
        if file is None:
            return None
        path = (self._folder / file).with_suffix(".test.yaml")
        try:
            content = path.read_bytes()
            text = content.decode()
        except (OSError, UnicodeDecodeError):
            return None
        shown = path.relative_to(self._folder).as_posix()
        return TreeText(text=text, file=shown, etag=_etag(content), writable=False)

    def check(self, name: str, text: str) -> list[Diagnostic]:
        """All that would be wrong with the project if the tree's file held this text."""
        project = self._project()
        file = project.files.get(name, f"trees/{name}.yaml")
        try:
            tree = load_tree(
                text, file=file, actions=installed_actions(), kinds=installed_triggers()
            )
        except InvalidDefinition as error:
            return list(error.diagnostics)
        found = list(tree.warnings)
        if tree.name != name:
            found.append(
                Diagnostic(
                    message=f"the tree is called {tree.name!r} here, and {name!r} where it is kept",
                    path="tree",
                    file=file,
                    suggestion=f"write `tree: {name}`; another name is another file",
                )
            )
            return found
        others = {n: t for n, t in project.trees.items() if n != name}
        files = {**project.files, name: file}
        together = check_trees([*others.values(), tree], files)
        return found + [problem for problem in together if problem.file == file]

    def write(self, name: str, text: str, was: str | None) -> TreeText:
        """Save the text, whole or not at all.

        `was` is the ETag of what it takes the place of, None for a file that is not there yet.
        Raises `InvalidDefinition` where it has errors, and `Conflict` where the file is another
        one by now, is there already, or may not be written.
        """
        if not self.may_write:
            raise Conflict(
                "trees are only read at this hub: change the project's files and deploy them, or "
                "set HUB_EDIT_TREES=yes"
            )
        if not _NAME.fullmatch(name):
            raise BadRequest("a tree's name is lower-case letters, digits, '-' and '_'")
        problems = self.check(name, text)
        if any(problem.severity == "error" for problem in problems):
            raise InvalidDefinition(problems)
        with self._writing:
            now = self.read(name)
            if now is None and was is not None:
                raise NotFound(f"there is no file of a tree {name!r} any more")
            if now is not None and was != now.etag:
                raise Conflict(
                    f"{now.file} has changed since it was read; read it again and save on top of that"
                )
            file = now.file if now is not None else f"trees/{name}.yaml"
            self._replace(self._folder / file, text.encode(), is_new=now is None)
        saved = text.encode()
        return TreeText(text=text, file=file, etag=_etag(saved), writable=True)

    def _replace(self, path: Path, content: bytes, *, is_new: bool) -> None:
        try:
            path.parent.mkdir(exist_ok=True)
            if is_new and path.exists():
                raise Conflict(f"there is a file {path.name} already; give the tree another name")
            # Not `*.yaml`: a file that is half written is none of the project's.
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644 if is_new else path.stat().st_mode & 0o777)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Conflict(f"{path.name} cannot be written: {error.strerror}") from None


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
