"""Secrets: how settings name them, and how they are kept out of everything that is written.

`hub.yaml` names a secret by `${{ env.NAME }}` or `${{ file('path') }}`. Resolving one makes it
known to the process's redactor, which replaces it in logs, errors and pages.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec
import structlog

from hub.errors import Diagnostic, ExpressionError, InvalidDefinition, MissingSecret
from hub.expressions import compile_template

__all__ = [
    "MissingValue",
    "RedactingFilter",
    "Redactor",
    "read_dotenv",
    "redact",
    "redact_log",
    "redact_value",
    "redactor",
    "resolve",
]

_REPLACEMENT: Final = "[redacted]"
_MIN_LENGTH: Final = 6
_MAX_FILE: Final = 64 * 1024
_ENV_NAME = re.compile(r"""\benv\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(['"])([^'"]+)\2\s*\])""")


class MissingValue(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is not there: `name` is the variable or file, `path` the setting naming it."""

    name: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} (at {self.path})" if self.path else self.reason


class Redactor:
    """Replaces every secret it knows, in the forms in which secrets usually get out.

    Besides the value itself these are its percent-encoded, base64, JSON- and HTML-escaped forms.
    Values of fewer than six characters are not kept: replacing those would garble every text.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Keep this value out of everything from now on."""
        values = {secret, secret.strip()}
        if "\n" in secret.strip():
            # Logs and errors are read line by line, so a key in several lines gets out that way.
            values |= {line.strip() for line in secret.splitlines() if not line.startswith("-----")}
        values = {value for value in values if len(value) >= _MIN_LENGTH}
        with self._lock:
            forms = self._known.union(*(set(_forms(value)) for value in values))
            if len(forms) == len(self._known):
                return
            self._known = forms
            longest_first = sorted(forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(_pattern_of, longest_first)))

    def redact(self, text: str) -> str:
        """The text with every known secret in it replaced by `[redacted]`."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(_REPLACEMENT, text)

    def redact_value(self, value: Any) -> Any:
        """A JSON value with every known secret in its texts, keys among them, replaced."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self.redact_value(k): self.redact_value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.redact_value(item) for item in value]
        if isinstance(value, tuple):
            return tuple(self.redact_value(item) for item in value)
        if isinstance(value, bytes):
            text = value.decode("utf-8", "surrogateescape")
            return self.redact(text).encode("utf-8", "surrogateescape")
        return value


redactor: Final = Redactor()
"""The process's own redactor: it knows every secret that was resolved in this process."""


def redact(text: str) -> str:
    """The text with every secret of this process replaced by `[redacted]`."""
    return redactor.redact(text)


def redact_value(value: Any) -> Any:
    """A JSON value with every secret of this process replaced by `[redacted]`."""
    return redactor.redact_value(value)


def redact_log(logger: Any, method: str, event: Any) -> Any:
    """A structlog processor that redacts. It stands last, or last before the renderer.

    What is no JSON value (an exception, a path, a struct) is redacted as the text that would be
    written of it.
    """
    if isinstance(event, MutableMapping):
        if event.get("exc_info"):
            event = structlog.processors.format_exc_info(logger, method, event)
        return {key: _redact_object(value) for key, value in event.items()}
    return redactor.redact_value(event)


class RedactingFilter(logging.Filter):
    """A filter for the standard library's handlers that redacts message, arguments and traceback."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and not record.exc_text:
            # A formatter writes this text where it is set, and else makes its own.
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        if isinstance(record.msg, str):
            record.msg = redact(record.msg)
        else:
            record.msg = _redact_object(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_redact_object(value) for value in record.args)
        elif record.args:
            record.args = {key: _redact_object(value) for key, value in record.args.items()}
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            return True
        if redact(message) != message:
            # The secret only came together in the whole line.
            record.msg, record.args = redact(message), ()
        return True


def resolve(
    value: Any, env: Mapping[str, str], project: Path, path: str = "", *, known: Redactor = redactor
) -> Any:
    """A setting with every `${{ env.X }}` and `${{ file('path') }}` in it replaced.

    `path` is where the setting stands (`connections.mail.email`) and begins the place of each
    error. File names are relative to the project; a last line break in the file is dropped. Every
    value that was read is given to the redactor.

    Raises `MissingSecret` with all that is missing (`details["missing"]`, of `MissingValue`), and
    `InvalidDefinition` for an expression that cannot be evaluated for another reason.
    """
    missing: list[MissingValue] = []
    wrong: list[Diagnostic] = []
    resolved = _resolve(value, _Sources(env, project, known), path, missing, wrong)
    if wrong:
        raise InvalidDefinition(wrong)
    if missing:
        raise MissingSecret(
            "; ".join(map(str, missing))
            + ". Set it in the environment (`hub dev` also reads .env) or mount the file.",
            missing=missing,
        )
    return resolved


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; none when there is no such file.

    One `KEY=VALUE` a line, with or without `export` before it. A value in single quotes is taken
    as it is; in double quotes `\\n`, `\\t`, `\\r`, `\\"`, `\\$` and `\\\\` are escapes; without
    quotes it ends before ` #`. Nothing is substituted. The last of two lines for a key counts.

    Raises `InvalidDefinition`, which names the lines that are none of this, never their values.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise InvalidDefinition(
            [Diagnostic(message="the file is not UTF-8 text", file=str(path), code="dotenv")]
        ) from None
    variables: dict[str, str] = {}
    wrong: list[Diagnostic] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _DOTENV_KEY.match(stripped)
        value = None if found is None else _dotenv_value(stripped[found.end() :])
        if found is None or value is None:
            wrong.append(
                Diagnostic(
                    message="this line is no KEY=VALUE, or its quotes do not end",
                    code="dotenv",
                    file=str(path),
                    line=number,
                    column=1,
                )
            )
        else:
            variables[found[1]] = value
    if wrong:
        raise InvalidDefinition(wrong)
    return variables


_DOTENV_KEY = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*")
_DOTENV_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")
_DOTENV_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "$": "$", "\\": "\\"}


def _dotenv_value(text: str) -> str | None:
    if text[:1] in ("'", '"'):
        found = _DOTENV_QUOTED.fullmatch(text)
        if found is None:
            return None
        if found[1] is not None:
            return found[1]
        return _DOTENV_ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), found[2])
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()


class _Sources:
    """Where secrets are read from, and a note of all that one expression read or did not find."""

    def __init__(self, env: Mapping[str, str], project: Path, known: Redactor) -> None:
        self.env = env
        self.project = project
        self.known = known
        self.unreadable: list[tuple[str, str]] = []

    def scope(self, env: Mapping[str, str]) -> dict[str, Any]:
        return {"env": dict(env), "file": self.file}

    def file(self, name: object) -> str:
        """The text of a file that holds a secret, without its last line break."""
        try:
            with (self.project / str(name)).open("rb") as file:
                content = file.read(_MAX_FILE + 1)
            if len(content) > _MAX_FILE:
                reason = f"the file {name} is larger than {_MAX_FILE // 1024} KiB"
            else:
                text = content.decode().removesuffix("\n").removesuffix("\r")
                self.known.add(text)
                return text
        except FileNotFoundError:
            reason = f"the file {name} does not exist"
        except UnicodeDecodeError:
            reason = f"the file {name} is not UTF-8 text"
        except (OSError, ValueError):
            reason = f"the file {name} cannot be read"
        self.unreadable.append((str(name), reason))
        return ""


def _resolve(
    value: Any,
    sources: _Sources,
    path: str,
    missing: list[MissingValue],
    wrong: list[Diagnostic],
) -> Any:
    if isinstance(value, str):
        return _resolve_text(value, sources, path, missing, wrong) if "${{" in value else value
    if isinstance(value, Mapping):
        return {
            key: _resolve(item, sources, f"{path}.{key}" if path else str(key), missing, wrong)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _resolve(item, sources, f"{path}[{index}]", missing, wrong)
            for index, item in enumerate(value)
        ]
    return value


def _resolve_text(
    text: str,
    sources: _Sources,
    path: str,
    missing: list[MissingValue],
    wrong: list[Diagnostic],
) -> Any:
    named = list(dict.fromkeys(found[1] or found[3] for found in _ENV_NAME.finditer(text)))
    for name in named:
        if name in sources.env:
            sources.known.add(sources.env[name])
    sources.unreadable.clear()
    failure: ExpressionError | None = None
    resolved = None
    try:
        resolved = compile_template(text).evaluate(sources.scope(sources.env))
    except ExpressionError as error:
        failure = error
    unreadable = list(sources.unreadable)
    absent = [name for name in named if name not in sources.env] if failure else []
    needed = [name for name in absent if not _does_without(text, name, absent, sources)]
    for name in needed or absent:
        reason = f"the environment variable {name} is not set"
        missing.append(MissingValue(name=name, path=path, reason=reason))
    for name, reason in unreadable:
        missing.append(MissingValue(name=name, path=path, reason=reason))
    if failure and not absent and not unreadable:
        wrong.append(
            Diagnostic(
                message=sources.known.redact(failure.message),
                path=path,
                code=failure.code,
                suggestion=failure.suggestion,
            )
        )
    return resolved


def _does_without(text: str, name: str, absent: Iterable[str], sources: _Sources) -> bool:
    """Whether the expression has a default for this variable, were the other absent ones set."""
    filled = dict(sources.env) | {other: "0" for other in absent if other != name}
    try:
        compile_template(text).evaluate(sources.scope(filled))
    except ExpressionError:
        return False
    return True


def _redact_object(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | bytes | list | tuple | Mapping):
        redacted = redactor.redact_value(value)
        text = str(redacted)
        return redacted if redact(text) == text else redact(text)
    text = str(value)
    return redact(text) if redact(text) != text or redact(repr(value)) != repr(value) else value


def _pattern_of(form: str) -> str:
    # Percent-encoding is written in upper and in lower case.
    return re.sub("%([0-9A-F]{2})", r"%(?i:\1)", re.escape(form))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    data = secret.encode("utf-8", "surrogatepass")
    yield from (quote(data, safe=""), quote(data), quote_plus(data))
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield escaped
        # JSON inside of JSON: a body that was logged as a text.
        yield json.dumps(escaped)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    yield from _base64_forms(data)


def _base64_forms(data: bytes) -> Iterator[str]:
    """The base64 of the data alone, and its inner part wherever it stands in a longer text.

    Three bytes make four characters, so a secret inside of `user:secret` has one of three looks;
    the characters at both ends mix with the neighbours and are left out.
    """
    whole = base64.b64encode(data).decode()
    found = [whole, whole.rstrip("=")]
    for offset, mixed in ((0, 0), (1, 2), (2, 3)):
        padded = base64.b64encode(b"\0" * offset + data).decode()
        stable = (offset + len(data)) * 8 // 6
        inner = padded[mixed:stable]
        if len(inner) >= _MIN_LENGTH:
            found.append(inner)
    for form in found:
        yield form
        yield form.replace("+", "-").replace("/", "_")
