"""What a run is known to wait for as soon as it begins; which trees it may run."""

from __future__ import annotations

import pytest

from hub.tree import load_tree

HEAD = """
tree: some
events:
  begun: {webhook: app, where: event.type == "begun", key: event.data.key}
  paid: {webhook: app, where: event.type == "paid", key: event.data.key}
  packed: {webhook: app, where: event.type == "packed", key: event.data.key}
start: begun
do:
"""


@pytest.mark.parametrize(
    ("do", "opens"),
    [
        ("  - wait_for: paid\n  - wait_for: packed\n", ("paid",)),
        ("  - wait_for: {all: [paid, packed]}\n", ("paid", "packed")),
        ("  - fallback:\n    - wait_for: paid\n      timeout: 1h\n    - log: late\n", ("paid",)),
        ("  - log: first\n  - wait_for: paid\n", ()),
        ("  - wait_for: paid\n    if: event.data.key == 1\n", ()),
        ("  - if: event.data.key == 1\n    then: {wait_for: paid}\n", ()),
        ("  - delay: 1h\n  - wait_for: paid\n", ()),
    ],
)
def test_what_it_waits_for_first(do: str, opens: tuple[str, ...]) -> None:
    assert load_tree(HEAD + do).opens == opens


def test_the_trees_that_it_may_run() -> None:
    tree = load_tree(HEAD + "  - run: other\n  - if: event.data.key == 1\n    then: {run: more}\n")
    assert tree.trees == ("other", "more")
