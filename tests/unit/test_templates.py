from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import Diagnostic, InvalidDefinition
from hub.templates import Rendered, Templates, text_of

Write = Callable[..., Templates]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(**files: str) -> Templates:
        folder = tmp_path / "templates"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        return Templates(folder)

    return written


def wrong(templates: Templates, name: str = "welcome", scope: Any = None) -> Diagnostic:
    with pytest.raises(InvalidDefinition) as caught:
        templates.render(name, scope or {})
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_a_template_is_its_files(write: Write) -> None:
    templates = write(
        welcome__subject__txt="Welcome, {{ vars.name }}\n",
        welcome__txt="Hi {{ vars.name }}: {{ callback('verified') }}\n",
        welcome__html="<p>Hi {{ vars.name }}</p>",
    )
    scope = {"vars": {"name": "Ada"}, "callback": lambda s: f"https://hub/{s}"}
    assert templates.render("welcome", scope) == Rendered(
        subject="Welcome, Ada", text="Hi Ada: https://hub/verified\n", html="<p>Hi Ada</p>"
    )


def test_html_is_escaped_and_text_is_not(write: Write) -> None:
    templates = write(
        welcome__subject__txt="{{ n }}", welcome__txt="{{ n }}", welcome__html="<p>{{ n }}</p>"
    )
    rendered = templates.render("welcome", {"n": "<script>'&"})
    assert rendered.subject == "<script>'&"
    assert rendered.text == "<script>'&"
    assert rendered.html == "<p>&lt;script&gt;&#39;&amp;</p>"


def test_a_template_of_text_alone_has_no_html(write: Write) -> None:
    rendered = write(welcome__subject__txt="Hi", welcome__txt="x").render("welcome", {})
    assert rendered == Rendered(subject="Hi", text="x")


def test_a_template_of_html_alone_gets_a_text(write: Write) -> None:
    rendered = write(
        welcome__subject__txt="Hi", welcome__html="<p>Click <a href='{{ u }}'>here</a></p>"
    ).render("welcome", {"u": "https://example.com/a?b=1&c=2"})
    assert rendered.text == "Click here (https://example.com/a?b=1&c=2)\n"


@pytest.mark.parametrize(
    "hostile",
    ["Ada\r\nBcc: all@example.com", "Ada\nBcc: x", "Ada\rBcc: x", "Ada\x85Bcc\u2028: x\x0b\x00"],
)
def test_the_subject_stays_one_line_whatever_the_event_says(write: Write, hostile: str) -> None:
    templates = write(welcome__subject__txt="Hi\n {{ n }}\n", welcome__txt="x")
    subject = templates.render("welcome", {"n": hostile}).subject
    assert len(subject.splitlines()) == 1
    assert subject.startswith("Hi Ada Bcc")


def test_an_empty_subject_is_refused(write: Write) -> None:
    found = wrong(write(welcome__subject__txt="{{ n }}\n", welcome__txt="x"), scope={"n": " "})
    assert found.file == "templates/welcome.subject.txt"
    assert "empty" in found.message


def test_an_undefined_name_is_said_with_its_line_and_the_nearest_one(write: Write) -> None:
    found = wrong(
        write(welcome__subject__txt="Hi", welcome__txt="one\n\n{{ vars.emial }}\n"),
        scope={"vars": {"email": "a@example.com"}},
    )
    assert (found.file, found.line) == ("templates/welcome.txt", 3)
    assert "`emial`" in found.message
    assert found.suggestion == "did you mean `email`?"


def test_an_undefined_name_of_the_scope_is_said_too(write: Write) -> None:
    found = wrong(
        write(welcome__subject__txt="{{ evnt.id }}", welcome__txt="x"), scope={"event": {"id": 1}}
    )
    assert (found.file, found.line) == ("templates/welcome.subject.txt", 1)
    assert "`evnt`" in found.message
    assert found.suggestion == "did you mean `event`?"


def test_an_error_in_an_included_file_is_placed_there(write: Write) -> None:
    found = wrong(
        write(
            welcome__subject__txt="Hi",
            welcome__txt="{% include 'footer.txt' %}",
            footer__txt="--\n{{ nobody }}",
        )
    )
    assert (found.file, found.line) == ("templates/footer.txt", 2)


def test_a_syntax_error_is_found_by_check_and_by_render(write: Write) -> None:
    templates = write(welcome__subject__txt="Hi", welcome__txt="a\n{% if %}\n")
    assert [(d.file, d.line) for d in templates.check()] == [("templates/welcome.txt", 2)]
    assert wrong(templates).line == 2


def test_check_finds_nothing_in_good_templates(write: Write) -> None:
    templates = write(welcome__subject__txt="Hi", welcome__txt="{{ anything }}")
    assert templates.check() == []
    assert templates.names() == ["welcome"]


def test_check_tells_of_a_template_without_a_body(write: Write) -> None:
    (found,) = write(lonely__subject__txt="Hi").check()
    assert "has no body" in found.message


def test_a_template_without_a_subject_says_what_to_add(write: Write) -> None:
    assert "add welcome.subject.txt" in wrong(write(welcome__txt="x")).message


def test_an_unknown_template_suggests_the_nearest(write: Write) -> None:
    found = wrong(write(welcome__subject__txt="Hi", welcome__txt="x"), "welcom")
    assert found.suggestion == "did you mean `welcome`?"


def test_a_template_may_lie_in_a_sub_folder(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "reports"
    folder.mkdir(parents=True)
    (folder / "daily.subject.txt").write_text("Report")
    (folder / "daily.txt").write_text("x")
    templates = write()
    assert templates.names() == ["reports/daily"]
    assert templates.render("reports/daily", {}).subject == "Report"


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/../../secret", "..", ".", "", "a\x00", "./secret", ".env"],
)
def test_no_name_leads_out_of_the_folder(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.subject.txt").write_text("S")
    (tmp_path / "secret.txt").write_text("S")
    assert "there is no template" in wrong(write(), name).message


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "link.txt"])
def test_no_include_leads_out_of_the_folder(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    templates = write(welcome__subject__txt="Hi", welcome__txt=f"{{% include '{name}' %}}")
    (tmp_path / "templates" / "link.txt").symlink_to(tmp_path / "secret.txt")
    found = wrong(templates)
    assert "includes" in found.message
    assert found.file == "templates/welcome.txt"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ callback.__globals__ }}",
        "{{ vars.update({'a': 1}) }}",
        "{% for i in range(10000000000) %}x{% endfor %}",
        "{{ self.__init__.__globals__ }}",
        "{{ 1 / 0 }}",
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(write: Write, source: str) -> None:
    variables: dict[str, int] = {}
    templates = write(welcome__subject__txt="Hi", welcome__txt=source)
    found = wrong(templates, scope={"vars": variables, "callback": lambda s: s})
    assert found.file == "templates/welcome.txt"
    assert variables == {}


def test_a_value_of_the_event_wins_over_a_method_of_its_type(write: Write) -> None:
    templates = write(
        welcome__subject__txt="{{ event.items }}",
        welcome__txt="{% for k, v in other.items() %}{{ k }}={{ v }}{% endfor %}",
    )
    rendered = templates.render("welcome", {"event": {"items": 3}, "other": {"a": 1}})
    assert (rendered.subject, rendered.text) == ("3", "a=1")


def test_event_data_is_never_read_as_a_template(write: Write) -> None:
    templates = write(welcome__subject__txt="Hi", welcome__txt="{{ n }}")
    assert templates.render("welcome", {"n": "{{ 7 * 7 }}"}).text == "{{ 7 * 7 }}"


def test_a_changed_file_is_read_again(write: Write) -> None:
    templates = write(welcome__subject__txt="Hi", welcome__txt="one")
    assert templates.render("welcome", {}).text == "one"
    write(welcome__txt="another one")
    assert templates.render("welcome", {}).text == "another one"


def test_a_file_that_is_no_text_is_said(write: Write, tmp_path: Path) -> None:
    templates = write(welcome__subject__txt="Hi", welcome__txt="x")
    (tmp_path / "templates" / "welcome.txt").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in wrong(templates).message


def test_the_text_of_html_reads_like_a_mail() -> None:
    html = """<!doctype html><html><head><title>No</title><style>p {}</style></head><body>
      <h1>Hello  Ada</h1><p>One<br>two &amp; three</p>
      <ul><li>first</li><li>second</li></ul><script>alert(1)</script>
      <p><a href="https://example.com">https://example.com</a> <a href="#x">top</a>
      <a href="mailto:a@example.com">write</a> <img alt="Logo" src="x"></p></body></html>"""
    assert text_of(html) == (
        "Hello Ada\n\nOne\ntwo & three\n\n- first\n- second\n\n"
        "https://example.com top write (a@example.com) Logo\n"
    )


@given(st.text(alphabet=st.sampled_from("<>/ab!-'\"=&; \nscriptle"), max_size=200))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_html_breaks_the_reader(html: str) -> None:
    assert text_of(html).endswith("\n")
