from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.render import Render
from hub.connections import Connections
from hub.connector import Connector
from hub.errors import ActionRefused
from hub.secrets import redactor
from tests.contracts.connector import PLANTED, ConnectorContract, FailingCall, GivenCall


def write(project: Path, **files: str) -> None:
    (project / "templates").mkdir(exist_ok=True)
    for name, text in files.items():
        (project / "templates" / name.replace("_", ".")).write_text(text)


async def render(project: Path, action: str, template: str, **data: Any) -> Any:
    given = GivenCall(project, scope={"vars": {"who": "<Ada>"}, "steps": {}})
    result = await Connections(project, {}, {}).run(
        f"render.{action}", {"template": template, "data": data}, given
    )
    return result, given


async def test_pages_are_escaped_and_have_a_text(tmp_path: Path) -> None:
    write(tmp_path, a_html="<p>{{ vars.who }}</p>{% for n in data.rows %}<li>{{ n }}{% endfor %}")
    got, _ = await render(tmp_path, "html", "a", rows=[1, "<b>"])
    assert got["html"] == "<p>&lt;Ada&gt;</p><li>1<li>&lt;b&gt;"
    assert got["text"] == "<Ada>\n\n- 1\n- <b>\n"


async def test_texts_are_not_escaped(tmp_path: Path) -> None:
    write(tmp_path, a_txt="{{ vars.who }}: {{ data.n + 1 }}\n")
    got, _ = await render(tmp_path, "text", "a", n=1)
    assert got == {"text": "<Ada>: 2\n"}


async def test_links_into_the_run(tmp_path: Path) -> None:
    write(tmp_path, a_txt="{{ callback('verified', '2h') }}")
    got, given = await render(tmp_path, "text", "a")
    assert got["text"] == "https://hub.example.com/callbacks/verified"
    assert given.callbacks == [("verified", timedelta(hours=2))]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("b", "did you mean `a.txt`?"),
        ("../secret", "no file"),
        ("/etc/passwd", "no file"),
        ("link", "link.txt"),
        ("undefined", "`no_such` is not defined"),
        ("syntax", "syntax.txt:1"),
        ("endless", "longer than"),
        ("attack", "attack.txt"),
    ],
)
async def test_what_cannot_be_rendered(tmp_path: Path, template: str, said: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    write(
        tmp_path,
        a_txt="a",
        undefined_txt="{{ no_such }}",
        syntax_txt="{{ if }}",
        endless_txt="{% for a in range(1000) %}{% for b in range(1000) %}0123456789{% endfor %}{% endfor %}",
        attack_txt="{{ ''.__class__.__mro__[1].__subclasses__() }}",
    )
    (tmp_path / "templates" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ActionRefused) as caught:
        await render(tmp_path, "text", template)
    assert caught.value.failure == "template"
    assert said in caught.value.message


class TestRender(ConnectorContract):
    kind: ClassVar[type[Connector]] = Render
    settings: ClassVar[Mapping[str, Any]] = {}
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "render.text": {"template": "a"},
        "render.html": {"template": "a"},
    }

    @pytest.fixture
    def failing_calls(self, tmp_path: Path) -> Sequence[FailingCall]:
        # The connector has no secret of its own; another one's is known to the process.
        redactor.add(PLANTED)
        write(tmp_path, a_txt="{{ data[vars] }}", b_html=f"{{{{ {{}}['{PLANTED}'].x }}}}")
        return [
            FailingCall(
                action=action,
                settings={},
                arguments={"template": name},
                failure="template",
                retryable=False,
            )
            for action, name in (
                ("render.text", "a"),
                ("render.html", "b"),
                ("render.text", PLANTED),
            )
        ]
