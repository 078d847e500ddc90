"""Message templates of a project: the files under `templates/` that actions send.

A template is its files by name: `welcome.subject.txt` (one line), and `welcome.txt`, `welcome.html`
or both. They are Jinja2, sandboxed and strict: a name that is not there is an error, not a gap in
the mail. HTML is escaped; text and subject are not.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hub.errors import Diagnostic, HubError, InvalidDefinition

__all__ = ["Rendered", "Templates", "text_of"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_PARTS: Final = {"subject": ".subject.txt", "text": ".txt", "html": ".html"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_UNKNOWN_NAME = re.compile(r"`(\w+)` is not defined")
_MAX_CHARACTERS: Final = 5_000_000


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A message, ready to be sent. `subject` is one line; `text` is never missing."""

    subject: str
    text: str
    html: str | None = None


class Templates:
    """The templates in one folder. Nothing outside of the folder is read, by whatever name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = _Environment(
            loader=_Loader(folder),
            undefined=_Undefined,
            autoescape=lambda name: bool(name and name.endswith(".html")),
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def names(self) -> list[str]:
        """The templates there are, in order of their names."""
        suffix = _PARTS["subject"]
        found = (path.relative_to(self.folder) for path in self.folder.rglob(f"*{suffix}"))
        return sorted(path.as_posix().removesuffix(suffix) for path in found)

    def check(self) -> list[Diagnostic]:
        """All that can be seen to be wrong with the templates without rendering them."""
        found: list[Diagnostic] = []
        for name in self.names():
            try:
                for part in self._parts(name).values():
                    self._load(part)
            except InvalidDefinition as error:
                found += error.diagnostics
        return found

    def render(self, name: str, scope: Mapping[str, Any]) -> Rendered:
        """The message that this template makes of the scope (`vars`, `event`, `callback`, ...).

        A template with HTML alone gets a text made of it. Line breaks and other control characters
        in the subject become spaces, so that no value can add a header.

        Raises `InvalidDefinition` with the file, the line and the name that is wrong.
        """
        parts = self._parts(name)
        subject = " ".join(_CONTROL.sub(" ", self._render(parts["subject"], scope)).split())
        if not subject:
            raise InvalidDefinition([self._wrong(parts["subject"], "the subject is empty")])
        html = self._render(parts["html"], scope) if "html" in parts else None
        text = self._render(parts["text"], scope) if "text" in parts else text_of(html or "")
        return Rendered(subject=subject, text=text, html=html)

    def render_file(self, file: str, scope: Mapping[str, Any]) -> str:
        """What one file (`report.html`) makes of the scope; HTML is escaped in `.html` files.

        Raises `InvalidDefinition` as `render` does.
        """
        if not _NAME.fullmatch(file) or not (self.folder / file).is_file():
            files = [p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.*")]
            close = get_close_matches(file, files, n=1)
            hint = f"did you mean `{close[0]}`?" if close else None
            raise InvalidDefinition(
                [_diagnostic(f"there is no file {file!r} in {self.folder.name}/", hint=hint)]
            )
        return self._render(file, scope)

    def _parts(self, name: str) -> dict[str, str]:
        if not _NAME.fullmatch(name) or not any(
            (self.folder / (name + suffix)).is_file() for suffix in _PARTS.values()
        ):
            close = get_close_matches(name, self.names(), n=1)
            hint = f"did you mean `{close[0]}`?" if close else None
            raise InvalidDefinition(
                [_diagnostic(f"there is no template {name!r} in {self.folder.name}/", hint=hint)]
            )
        parts = {p: name + s for p, s in _PARTS.items() if (self.folder / (name + s)).is_file()}
        if "subject" not in parts:
            message = f"the template {name!r} has no subject: add {name}.subject.txt"
            raise InvalidDefinition([_diagnostic(message)])
        if len(parts) == 1:
            message = f"the template {name!r} has no body: add {name}.txt, {name}.html or both"
            raise InvalidDefinition([_diagnostic(message)])
        return parts

    def _load(self, file: str) -> Any:
        try:
            return self._environment.get_template(file)
        except TemplateSyntaxError as error:
            diagnostic = self._wrong(error.name or file, error.message or "", error.lineno)
            raise InvalidDefinition([diagnostic]) from None
        except (TemplateNotFound, UnicodeDecodeError):
            diagnostic = self._wrong(file, "the file cannot be read as UTF-8 text")
            raise InvalidDefinition([diagnostic]) from None

    def _render(self, file: str, scope: Mapping[str, Any]) -> str:
        template = self._load(file)
        chunks: list[str] = []
        length = 0
        try:
            for chunk in template.generate(scope):
                length += len(chunk)
                if length > _MAX_CHARACTERS:
                    message = f"the message is longer than {_MAX_CHARACTERS:,} characters"
                    raise InvalidDefinition([self._wrong(file, message)])
                chunks.append(chunk)
        except UndefinedError as error:
            message = _text(error)
            if found := _UNKNOWN_NAME.fullmatch(message):
                close = get_close_matches(found[1], [*scope], n=1)
                message += f"\ndid you mean `{close[0]}`?" if close else ""
            raise InvalidDefinition([self._raised(error, file, message)]) from None
        except TemplateNotFound as error:
            message = f"it includes {error.name!r}, which is not in {self.folder.name}/"
            raise InvalidDefinition([self._raised(error, file, message)]) from None
        except TemplateError as error:
            raise InvalidDefinition([self._raised(error, file, _text(error))]) from None
        except HubError as error:
            if isinstance(error, InvalidDefinition):
                raise
            raise InvalidDefinition([self._raised(error, file, error.message)]) from None
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            message = f"it cannot be rendered ({type(error).__name__}: {error})"
            raise InvalidDefinition([self._raised(error, file, message)]) from None
        return "".join(chunks)

    def _raised(self, error: Exception, file: str, message: str) -> Diagnostic:
        """The error at the line of the template, own or included, that raised it."""
        line: int | None = None
        folder = str(self.folder.resolve())
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(folder):
                file, line = str(Path(frame.filename).relative_to(folder)), frame.lineno
        message, _, hint = message.partition("\n")
        return self._wrong(file, message, line, hint or None)

    def _wrong(
        self, file: str, message: str, line: int | None = None, hint: str | None = None
    ) -> Diagnostic:
        return _diagnostic(message, file=f"{self.folder.name}/{file}", line=line, hint=hint)


class _Environment(ImmutableSandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        # Data first: `event.data.items` is a value of the event where it has one of that name.
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Undefined(StrictUndefined):
    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint or not isinstance(name, str):
            return super()._undefined_message
        if not isinstance(self._undefined_obj, Mapping):
            return f"`{name}` is not defined"
        close = get_close_matches(name, [str(key) for key in self._undefined_obj], n=1)
        hint = f"\ndid you mean `{close[0]}`?" if close else ""
        return f"`{name}` is not defined there{hint}"


class _Loader(FileSystemLoader):
    """A loader that does not follow links out of its folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.resolve())
        self._folder = folder

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        folder = self._folder.resolve()
        if not (folder / template).resolve().is_relative_to(folder):
            raise TemplateNotFound(template)
        return super().get_source(environment, template)


def text_of(html: str) -> str:
    """A readable text of an HTML mail: paragraphs, list items, and links with their addresses."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _TextReader(HTMLParser):
    _block = re.compile(
        "address|article|aside|blockquote|center|d[dlt]|div|fieldset|figure|footer|form|h[1-6]"
        "|header|hr|main|nav|ol|p|pre|section|table|ul"
    )
    _hidden = frozenset({"head", "script", "style", "template", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipped: list[str] = []
        self._link: str | None = None
        self._link_from = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in self._hidden:
            self._skipped.append(tag)
        elif tag == "body":
            self._skipped.clear()
        if self._skipped:
            return
        if self._block.fullmatch(tag):
            self.parts.append("\n\n")
        elif tag in ("br", "tr"):
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag == "img":
            self.parts.append(values.get("alt") or "")
        elif tag == "a":
            self._link, self._link_from = values.get("href"), len(self.parts)

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            if tag in self._skipped:
                del self._skipped[self._skipped.index(tag) :]
            return
        if self._block.fullmatch(tag):
            self.parts.append("\n\n")
        elif tag == "a" and self._link:
            shown = " ".join("".join(self.parts[self._link_from :]).split())
            address = self._link.removeprefix("mailto:")
            if not address.startswith("#") and address != shown:
                self.parts.append(f" ({address})" if shown else address)
            self._link = None

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(re.sub(r"\s+", " ", data))


def _text(error: TemplateError) -> str:
    return error.message or "the template cannot be rendered"


def _diagnostic(
    message: str, *, file: str | None = None, line: int | None = None, hint: str | None = None
) -> Diagnostic:
    return Diagnostic(
        message=message,
        code="template",
        file=file,
        line=line,
        column=None if line is None else 1,
        suggestion=hint,
    )
