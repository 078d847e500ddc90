from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hub.errors import BadRequest, Conflict, InvalidDefinition, NotFound
from hub.routing.project import Project, load_project
from hub.routing.sources import TreeFiles

TREE = """# Why it is there.
tree: shop
events:
  paid: {webhook: app, where: event.type == "paid", key: event.data.id}
start: paid
do:
  - log: paid      # beside it
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trees").mkdir()
    (tmp_path / "hub.yaml").write_text("triggers: {app: {webhook: {provider: none}}}\n")
    (tmp_path / "trees" / "shop.yaml").write_text(TREE)
    return tmp_path


@pytest.fixture
def files(folder: Path) -> TreeFiles:
    project: Project = load_project(folder, {})
    return TreeFiles(folder, lambda: project)


def etag(files: TreeFiles) -> str:
    found = files.read("shop")
    assert found is not None
    return found.etag


def test_the_text_is_as_it_is_written(files: TreeFiles) -> None:
    found = files.read("shop")
    assert found is not None
    assert (found.text, found.file, found.writable) == (TREE, "trees/shop.yaml", True)
    assert files.read("none") is None


def test_saving_replaces_the_whole_file(files: TreeFiles, folder: Path) -> None:
    text = TREE.replace("log: paid", "log: thanks")
    saved = files.write("shop", text, etag(files))
    assert (folder / "trees" / "shop.yaml").read_text() == text
    assert saved.etag == etag(files)
    assert [path.name for path in (folder / "trees").iterdir()] == ["shop.yaml"]


def test_where_trees_are_only_read_none_is_saved(folder: Path) -> None:
    project: Project = load_project(folder, {})
    files = TreeFiles(folder, lambda: project, may_write=False)
    found = files.read("shop")
    assert found is not None
    assert (found.text, found.writable) == (TREE, False)
    text = TREE.replace("log: paid", "log: thanks")
    for name, written, was in (("shop", text, found.etag), ("other", "tree: other", None)):
        with pytest.raises(Conflict, match=r"only read at this hub.*HUB_EDIT_TREES=yes"):
            files.write(name, written, was)
    assert [path.name for path in (folder / "trees").iterdir()] == ["shop.yaml"]
    assert (folder / "trees" / "shop.yaml").read_text() == TREE


def test_what_has_changed_meanwhile_is_kept(files: TreeFiles, folder: Path) -> None:
    was = etag(files)
    theirs = TREE.replace("log: paid", "log: theirs")
    (folder / "trees" / "shop.yaml").write_text(theirs)
    with pytest.raises(Conflict):
        files.write("shop", TREE, was)
    assert (folder / "trees" / "shop.yaml").read_text() == theirs


def test_of_two_that_save_at_the_same_time_one_wins(files: TreeFiles, folder: Path) -> None:
    was = etag(files)
    texts = [TREE.replace("log: paid", f"log: n{number}") for number in range(8)]
    outcomes: list[str] = []

    def save(text: str) -> None:
        try:
            files.write("shop", text, was)
        except Conflict:
            outcomes.append("refused")
        else:
            outcomes.append(text)

    threads = [threading.Thread(target=save, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 7
    (winner,) = [one for one in outcomes if one != "refused"]
    assert (folder / "trees" / "shop.yaml").read_text() == winner


def test_what_is_wrong_is_not_saved(files: TreeFiles, folder: Path) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        files.write("shop", TREE.replace("log: paid", "lgo: paid"), etag(files))
    assert caught.value.diagnostics[0].line == 7
    assert (folder / "trees" / "shop.yaml").read_text() == TREE


def test_all_that_is_wrong_is_told_with_its_line(files: TreeFiles) -> None:
    assert files.check("shop", TREE) == []
    (syntax,) = files.check("shop", "tree: [")[:1]
    assert syntax.line == 1
    other = files.check("shop", TREE.replace("tree: shop", "tree: store"))
    assert "trees/shop.yaml" in str(other[0])


def test_a_new_tree_takes_nothing_that_is_there(files: TreeFiles, folder: Path) -> None:
    text = TREE.replace("tree: shop", "tree: store")
    saved = files.write("store", text, None)
    assert saved.file == "trees/store.yaml"
    assert (folder / "trees" / "store.yaml").read_text() == text
    with pytest.raises(Conflict):
        files.write("shop", TREE, None)
    # The project does not know of it yet; its file is there all the same.
    with pytest.raises(Conflict):
        files.write("store", text, None)
    with pytest.raises(NotFound):
        files.write("gone", TREE.replace("tree: shop", "tree: gone"), '"of before"')


@pytest.mark.parametrize("name", ["../shop", "a/b", ".hidden", "", "UPPER", "a" * 200, "x\0y"])
def test_names_stay_in_the_folder(files: TreeFiles, folder: Path, name: str) -> None:
    with pytest.raises((BadRequest, InvalidDefinition)):
        files.write(name, TREE.replace("tree: shop", f"tree: {name!r}"), None)
    assert [path.name for path in (folder / "trees").iterdir()] == ["shop.yaml"]
