from __future__ import annotations

import base64
import io
import json
import logging
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import InvalidDefinition, MissingSecret
from hub.secrets import (
    RedactingFilter,
    Redactor,
    read_dotenv,
    redact,
    redact_log,
    redact_value,
    redactor,
    resolve,
)

SECRET = 'pä$$ w0rd/+"\\&<x>'


# --- resolving


def test_settings_are_resolved_wherever_they_stand(tmp_path: Path) -> None:
    settings = {
        "host": "smtp.example.com",
        "port": 587,
        "password": "${{ env.PW }}",
        "urls": ["amqp://u:${{ env.PW }}@host", None, True],
        "deep": {"headers": [{"Authorization": "Bearer ${{ env.TOKEN }}"}]},
    }
    env = {"PW": "password-1", "TOKEN": "token-1"}
    assert resolve(settings, env, tmp_path) == {
        "host": "smtp.example.com",
        "port": 587,
        "password": "password-1",
        "urls": ["amqp://u:password-1@host", None, True],
        "deep": {"headers": [{"Authorization": "Bearer token-1"}]},
    }


def test_what_was_resolved_is_redacted_from_then_on(tmp_path: Path) -> None:
    known = Redactor()
    resolve("x-${{ env.PW }}", {"PW": "a-secret-value", "OTHER": "not-used"}, tmp_path, known=known)
    assert known.redact("the a-secret-value, not-used") == "the [redacted], not-used"


def test_the_process_knows_what_was_resolved(tmp_path: Path) -> None:
    resolve("${{ env.PW }}", {"PW": "process-wide-secret"}, tmp_path)
    assert redact("it is process-wide-secret!") == "it is [redacted]!"
    assert redact_value({"k": ["process-wide-secret"]}) == {"k": ["[redacted]"]}


def test_all_that_is_missing_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    settings = {"a": "${{ env.ONE }}", "b": [{"c": "${{ env.TWO }}-${{ env.SET }}"}]}
    with pytest.raises(MissingSecret) as caught:
        resolve(settings, {"SET": "value-of-set"}, tmp_path, "connections.mail.email")
    assert [(m.name, m.path) for m in caught.value.details["missing"]] == [
        ("ONE", "connections.mail.email.a"),
        ("TWO", "connections.mail.email.b[0].c"),
    ]
    assert "ONE" in caught.value.message
    assert "connections.mail.email.b[0].c" in caught.value.message
    assert "value-of-set" not in caught.value.message


def test_two_in_one_text_are_both_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingSecret) as caught:
        resolve("${{ env.A }}:${{ env['B'] }}", {}, tmp_path)
    assert [m.name for m in caught.value.details["missing"]] == ["A", "B"]


def test_a_default_stands_in_and_is_no_secret(tmp_path: Path) -> None:
    known = Redactor()
    assert resolve("${{ env.X | default('fallback') }}", {}, tmp_path, known=known) == "fallback"
    assert known.redact("fallback") == "fallback"


def test_only_the_variable_without_a_default_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingSecret) as caught:
        resolve("${{ env.A | default('x') }}${{ env.B }}", {}, tmp_path)
    assert [m.name for m in caught.value.details["missing"]] == ["B"]


def test_an_empty_variable_is_set(tmp_path: Path) -> None:
    assert resolve("${{ env.X }}", {"X": ""}, tmp_path) == ""


def test_an_expression_that_is_wrong_in_another_way_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        resolve({"a": "${{ env.X | nonsense }}"}, {"X": "a-secret-value"}, tmp_path, "settings")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.path == "settings.a"
    assert "a-secret-value" not in str(diagnostic)


def test_a_mounted_file_is_read_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pw").write_text("from-a-file\n")
    known = Redactor()
    value = resolve("${{ file('secrets/pw') }}", {}, tmp_path, known=known)
    assert value == "from-a-file"
    assert known.redact("from-a-file") == "[redacted]"


def test_an_absolute_file_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("absolute-file")
    assert resolve(f"${{{{ file('{tmp_path}/pw') }}}}", {}, Path("/")) == "absolute-file"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe\xfa"), "not UTF-8"),
        (lambda path: path.write_bytes(b"x" * 100_000), "larger than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_missing(
    tmp_path: Path, make: Callable[[Path], Any], reason: str
) -> None:
    make(tmp_path / "pw")
    with pytest.raises(MissingSecret, match=reason) as caught:
        resolve({"a": "${{ file('pw') | int }}"}, {}, tmp_path)
    assert [(m.name, m.path) for m in caught.value.details["missing"]] == [("pw", "a")]


# --- redacting


def _json_in_json(secret: str) -> str:
    return json.dumps(json.dumps({"k": secret}))


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda s: f"before {s} after",
    "percent": lambda s: "https://h/?q=" + urllib.parse.quote(s, safe=""),
    "percent, path": lambda s: "https://h/" + urllib.parse.quote(s),
    "form": lambda s: urllib.parse.urlencode({"a": s}),
    "percent, lower case": lambda s: urllib.parse.quote(s, safe="").replace("%2F", "%2f"),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).rstrip(b"=").decode(),
    "JSON": lambda s: json.dumps({"k": s}),
    "JSON, not ASCII": lambda s: json.dumps({"k": s}, ensure_ascii=False),
    "JSON in JSON": _json_in_json,
    "repr": lambda s: repr({"k": s}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_redacted_in_the_forms_in_which_it_gets_out(form: Callable[[str], str]) -> None:
    known = Redactor()
    known.add(SECRET)
    text = known.redact(form(SECRET))
    assert "[redacted]" in text
    assert "w0rd" not in text
    assert text != form(SECRET)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=9, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_inside_of_base64_is_redacted(secret: str, before: bytes, after: bytes) -> None:
    known = Redactor()
    known.add(secret)
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    redacted = known.redact(encoded)
    assert "[redacted]" in redacted
    left = len(redacted.replace("[redacted]", ""))
    assert left <= (len(before) + len(after)) * 4 / 3 + 8


def test_basic_authentication_is_redacted() -> None:
    known = Redactor()
    known.add("correct-horse")
    header = "Basic " + base64.b64encode(b"user:correct-horse").decode()
    assert "[redacted]" in known.redact(header)
    assert "Y29ycmVjdC1ob3Jz" not in known.redact(header)


@given(st.text(min_size=6), st.text(), st.text())
def test_no_text_with_a_secret_in_it_comes_out_whole(secret: str, before: str, after: str) -> None:
    known = Redactor()
    known.add(secret)
    assert secret not in known.redact(before + secret + after).replace("[redacted]", "")


def test_the_longer_of_two_secrets_is_redacted_whole() -> None:
    known = Redactor()
    known.add("secret")
    known.add("secret-and-more")
    assert known.redact("secret-and-more secret") == "[redacted] [redacted]"


def test_short_values_are_left_alone() -> None:
    known = Redactor()
    known.add("587")
    known.add("")
    assert known.redact("port 587") == "port 587"


def test_each_line_of_a_key_is_redacted() -> None:
    known = Redactor()
    known.add(
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n"
    )
    assert known.redact("at line MIIEvQIBADAN") == "at line [redacted]"
    assert known.redact("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_values_are_redacted_to_the_bottom_and_keep_their_shape() -> None:
    known = Redactor()
    known.add("deep-secret")
    value = {"a": [1, None, 2.5, True, ("deep-secret", b"deep-secret")], "deep-secret": {}}
    assert known.redact_value(value) == {
        "a": [1, None, 2.5, True, ("[redacted]", b"[redacted]")],
        "[redacted]": {},
    }
    assert Redactor().redact_value(value) is value


# --- logs


@pytest.fixture
def log() -> Any:
    redactor.add("logged-secret")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.Logger("test")  # not in the tree of loggers: nothing is left behind
    logger.addHandler(handler)
    return logger, stream


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("it is logged-secret", ()),
        ("it is %s", ("logged-secret",)),
        ("it is %r", (ValueError("logged-secret"),)),
        ("it is %(a)s", ({"a": "logged-secret"},)),
        ("it is logged-%s", ("secret",)),
        ("it is %s", ({"deep": ["logged-secret"]},)),
        (ValueError("logged-secret"), ()),
        ("100% logged-secret", ()),
    ],
)
def test_the_filter_redacts_messages_and_arguments(log: Any, message: Any, args: Any) -> None:
    logger, stream = log
    logger.info(message, *args)
    assert "[redacted]" in stream.getvalue()
    assert "logged-secret" not in stream.getvalue()


def test_the_filter_redacts_tracebacks(log: Any) -> None:
    logger, stream = log
    try:
        raise ValueError("logged-secret")
    except ValueError:
        logger.exception("failed")
    assert "ValueError: [redacted]" in stream.getvalue()
    assert "logged-secret" not in stream.getvalue().replace('ValueError("logged-secret")', "")


def test_the_filter_keeps_the_arguments_that_formatters_read() -> None:
    record = logging.LogRecord("a", 20, "f", 1, "%s %d", ("GET /x", 200), None)
    assert RedactingFilter().filter(record)
    assert record.args == ("GET /x", 200)


def test_a_record_that_does_not_format_is_still_redacted() -> None:
    redactor.add("logged-secret")
    record = logging.LogRecord("a", 20, "f", 1, "%d %d", ("logged-secret",), None)
    assert RedactingFilter().filter(record)
    assert record.args == ("[redacted]",)


@pytest.mark.parametrize(
    "renderer", [structlog.processors.JSONRenderer(), structlog.dev.ConsoleRenderer(colors=False)]
)
def test_the_structlog_processor_redacts_before_the_renderer(renderer: Any) -> None:
    redactor.add("logged-secret")
    stream = io.StringIO()
    logger: Any = structlog.wrap_logger(
        structlog.PrintLogger(stream), processors=[redact_log, renderer]
    )
    try:
        raise ValueError("logged-" + "secret")
    except ValueError:
        logger.exception("failed logged-secret", a={"b": "logged-secret"}, c=Path("logged-secret"))
    assert "logged-secret" not in stream.getvalue()
    assert "ValueError: [redacted]" in stream.getvalue()


def test_the_structlog_processor_redacts_rendered_lines_too() -> None:
    redactor.add("logged-secret")
    assert redact_log(None, "info", "line logged-secret") == "line [redacted]"


# --- .env


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n"
        "\n"
        "A=1\n"
        "export B = two words \n"
        "C='single $x \\n' # why\n"
        'D="double\\n\\"x\\" \\$y \\\\ \\q"\n'
        "E=a#b # comment\n"
        "F=\n"
        "G= # only a comment\n"
        "H=a=b=c\n"
        "A=last\n"
        'I="# no comment"\n'
    )
    assert read_dotenv(tmp_path / ".env") == {
        "A": "last",
        "B": "two words",
        "C": "single $x \\n",
        "D": 'double\n"x" $y \\ \\q',
        "E": "a#b",
        "F": "",
        "G": "",
        "H": "a=b=c",
        "I": "# no comment",
    }


def test_no_dotenv_file_is_no_variables(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}


def test_line_ends_and_marks_of_other_systems_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")
    assert read_dotenv(tmp_path / ".env") == {"A": "1", "B": "2"}


def test_wrong_lines_are_named_without_their_values(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('A=1\nthe secret\n1B=x\nC=\'open\nD="x" trailing\n')
    with pytest.raises(InvalidDefinition) as caught:
        read_dotenv(tmp_path / ".env")
    assert [d.line for d in caught.value.diagnostics] == [2, 3, 4, 5]
    assert "the secret" not in str(caught.value)


def test_a_dotenv_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(InvalidDefinition, match="UTF-8"):
        read_dotenv(tmp_path / ".env")
