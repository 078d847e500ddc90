"""Schedules in `hub dev`, from outside: as the files have them, triggered, paused, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.acceptance.hub_process import HubProcess

TREE = """
tree: report
events:
  due: {schedule: {cron: 0 8 * * mon-fri, timezone: Europe/Berlin}}
start: due
do:
  - log: hello
"""


def schedules(hub: HubProcess) -> dict[str, Any]:
    return {item["id"]: item for item in hub.get("/api/schedules")["items"]}


def test_schedules_follow_the_files_and_outlive_the_hub(project: Path) -> None:
    file = project / "trees/report.yaml"
    file.write_text(TREE)
    with HubProcess(project) as hub:
        hub.until(lambda: schedules(hub)["report/due"]["status"] == "current", "the schedule")
        assert "Europe/Berlin" in hub.hub("schedules", "list")
        assert len(hub.json("schedules", "preview", "report/due", "--count", "3")["items"]) == 3

        hub.hub("schedules", "trigger", "report/due")
        hub.until(lambda: schedules(hub)["report/due"]["last"], "the run")
        (last,) = schedules(hub)["report/due"]["last"]
        hub.until(lambda: hub.run(last["run_id"])["status"] == "succeeded", "the end of the run")
        hub.hub("schedules", "pause", "report/due", "--note", "on holiday")

        file.write_text(TREE.replace("0 8", "30 7"))
        hub.until(
            lambda: schedules(hub)["report/due"]["times"] == ["30 7 * * mon-fri"], "the update"
        )
        assert schedules(hub)["report/due"]["paused"]

        file.write_text("tree: [")
        hub.until_screen("with errors")
        assert schedules(hub)["report/due"]["status"] == "current"
        file.write_text(TREE.replace("0 8", "30 7"))

        at_port = {"TEMPORAL_ADDRESS": f"127.0.0.1:{hub.ports['HUB_TEMPORAL_PORT']}"}
        assert "nothing to do" in hub.hub("apply", str(project), **at_port)
        hub.stop()

        offline = hub.hub("schedules", "preview", "report/due", "--project", str(project))
        assert "07:30:00 CE" in offline
        hub.hub("apply", str(project), code=3, **at_port)

        file.unlink()
        hub.start()
        hub.until(lambda: not schedules(hub), "the schedule to be gone")
