from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli.init import create_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as `hub init` makes it."""
    folder = tmp_path / "shop"
    create_project(folder)
    return folder
