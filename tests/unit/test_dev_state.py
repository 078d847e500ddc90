from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hub.dev.state import open_state
from hub.errors import Conflict, InvalidSetting

ROOT = Path(__file__).parents[2]
HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from hub.dev.state import open_state\n"
    "with open_state(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(600)\n"
)


def test_the_folder_is_made_for_its_owner_alone_and_ignored_by_git(tmp_path: Path) -> None:
    with open_state(tmp_path / "p" / ".hub") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / ".gitignore").read_text() == "*\n"


def test_a_second_hub_on_the_folder_is_told_who_the_first_is(tmp_path: Path) -> None:
    with (
        open_state(tmp_path),
        pytest.raises(Conflict, match=rf"process {os.getpid()}.*HUB_STATE"),
        open_state(tmp_path, patience=0),
    ):
        pass


def test_the_lock_is_free_after_the_block(tmp_path: Path) -> None:
    with open_state(tmp_path):
        pass
    with open_state(tmp_path, patience=0):
        pass


def test_a_killed_hub_leaves_no_lock_behind(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
        with open_state(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="HUB_STATE"), open_state(tmp_path / "file" / ".hub"):
        pass
