from __future__ import annotations

from pathlib import Path

from hub.routing.project import load_project
from hub.routing.sources import TreeFiles
from tests.unit.api_home import open_home
from tests.unit.test_api_ingress import is_problem

TREE = """tree: onboarding
events:
  paid: {webhook: app, key: event.data.id}
start: paid
do:
  - log: paid  # beside it
"""


def project(folder: Path) -> TreeFiles:
    (folder / "trees").mkdir()
    (folder / "hub.yaml").write_text("triggers: {app: {webhook: {provider: none}}}\n")
    (folder / "trees" / "onboarding.yaml").write_text(TREE)
    loaded = load_project(folder, {})
    return TreeFiles(folder, lambda: loaded)


async def test_read_check_save(tmp_path: Path) -> None:
    async with open_home(tmp_path, files=project(tmp_path)) as home:
        shown = (await home.client.get("/api/trees/onboarding")).json()
        assert (shown["text"], shown["writable"]) == (TREE, True)
        text = TREE.replace("log: paid", "lgo: paid")
        checked = await home.client.post("/api/trees/onboarding/validate", json={"text": text})
        assert checked.status_code == 200
        assert checked.json()["valid"] is False
        assert checked.json()["diagnostics"][0]["line"] == 6
        match = {"if-match": shown["etag"]}
        refused = await home.client.put("/api/trees/onboarding", json={"text": text}, headers=match)
        is_problem(refused, 422, "invalid_definition")
        better = TREE.replace("log: paid", "log: thanks")
        saved = await home.client.put("/api/trees/onboarding", json={"text": better}, headers=match)
        assert saved.status_code == 200
        assert saved.headers["etag"] == saved.json()["etag"] != shown["etag"]
        late = await home.client.put("/api/trees/onboarding", json={"text": TREE}, headers=match)
        is_problem(late, 409, "conflict")
    assert (tmp_path / "trees" / "onboarding.yaml").read_text() == better


async def test_what_it_takes_the_place_of_must_be_said(tmp_path: Path) -> None:
    async with open_home(tmp_path, files=project(tmp_path)) as home:
        answer = await home.client.put("/api/trees/onboarding", json={"text": TREE})
        is_problem(answer, 400, "bad_request")
        answer = await home.client.put(
            "/api/trees/onboarding", json={"txt": TREE}, headers={"if-match": '"x"'}
        )
        is_problem(answer, 400, "bad_request")


async def test_a_hub_without_the_files_says_so(tmp_path: Path) -> None:
    async with open_home(tmp_path) as home:
        answer = await home.client.post("/api/trees/onboarding/validate", json={"text": TREE})
        is_problem(answer, 409, "conflict")
