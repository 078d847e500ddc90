"""The page of connectors says what the connectors say of themselves."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from typer.testing import CliRunner

from hub.cli.app import app
from hub.connector import installed_connectors
from hub.tree.docs import connector_docs

PAGE = Path("docs/connectors.md")
LEDGER = Path("tests/third_party/hub-ledger")


def test_the_page_is_up_to_date() -> None:
    names = tomllib.loads(Path("pyproject.toml").read_text())["project"]["entry-points"]
    ours = {n: k for n, k in installed_connectors().items() if n in names["hub.connectors"]}
    made = connector_docs(ours)
    page = PAGE.read_text()
    assert page.endswith(made), (
        "the end of docs/connectors.md must be what `hub schema --connectors` prints"
    )
    for name, kind in ours.items():
        assert f"## {name}\n" in made
        for action in kind.actions():
            assert f"### `{action.name}`\n" in made


def test_the_connector_on_the_page_is_the_one_that_is_tested() -> None:
    page = PAGE.read_text()
    code = (LEDGER / "hub_ledger.py").read_text()
    assert f"```python\n# hub_ledger.py\n{code}```" in page
    assert f"```toml\n# pyproject.toml\n{(LEDGER / 'pyproject.toml').read_text()}```" in page
    assert len([line for line in code.splitlines() if line.strip()]) <= 30


def test_every_code_that_a_connector_of_ours_raises_is_on_the_page() -> None:
    page = PAGE.read_text()
    raised = set()
    for path in Path("connectors").rglob("*.py"):
        if path.name in ("email.py", "kafka.py"):
            continue
        raised |= set(
            re.findall(r"Action(?:Failed|Refused)\(\s*\"([a-z_0-9]+)\"", path.read_text())
        )
    assert {code for code in raised if f"`{code}`" not in page} - {"too_large"} == set()


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(app, ["schema", "--connectors"])
    assert printed.exit_code == 0
    assert "### `http.get`" in printed.output
