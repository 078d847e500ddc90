from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub.errors import InvalidSetting
from hub.process.parts import open_journal
from hub.settings import Settings


def test_without_any_variable_the_documented_defaults_hold() -> None:
    settings = Settings.read({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert (settings.temporal_port, settings.temporal_ui_port) == (7233, 8233)
    assert settings.smtp_port == 1025
    assert settings.state is None
    assert settings.url == "http://127.0.0.1:8080"


def test_variables_replace_defaults_and_empty_ones_do_not_count() -> None:
    settings = Settings.read(
        {"HUB_PORT": " 9090 ", "HUB_STATE": "here", "HUB_SMTP_PORT": "", "OTHER": "x"}
    )
    assert settings.port == 9090
    assert settings.state == Path.cwd() / "here"
    assert settings.smtp_port == 1025


def test_how_long_things_are_kept_and_whether_trees_are_edited() -> None:
    settings = Settings.read({})
    assert (settings.journal_retention.days, settings.audit_retention.days) == (30, 400)
    assert settings.edit_trees is False
    settings = Settings.read(
        {"HUB_JOURNAL_RETENTION": "2h", "HUB_AUDIT_RETENTION": "1000 days", "HUB_EDIT_TREES": "Yes"}
    )
    assert settings.journal_retention == timedelta(hours=2)
    assert settings.audit_retention.days == 1000
    assert settings.edit_trees is True
    with pytest.raises(InvalidSetting, match=r"HUB_AUDIT_RETENTION is '5m'; it is at least 1 hour"):
        Settings.read({"HUB_AUDIT_RETENTION": "5m"})
    with pytest.raises(InvalidSetting, match=r"HUB_EDIT_TREES is 'maybe'; it is yes or no"):
        Settings.read({"HUB_EDIT_TREES": "maybe"})


async def test_the_journal_keeps_things_for_as_long_as_the_settings_say(tmp_path: Path) -> None:
    settings = Settings.read({"HUB_JOURNAL_RETENTION": "2 days", "HUB_AUDIT_RETENTION": "3 days"})
    journal = await open_journal(settings, tmp_path)
    assert (journal.retention.days, journal.audit.retention.days) == (2, 3)
    await journal.close()


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80a", "http", "８０", "1e3"])
def test_a_port_that_is_none_is_named_with_its_variable(text: str) -> None:
    with pytest.raises(InvalidSetting, match=r"HUB_TEMPORAL_PORT is .*1 to 65535"):
        Settings.read({"HUB_TEMPORAL_PORT": text})


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(InvalidSetting) as caught:
        Settings.read({"HUB_PORT": "x", "HUB_SMTP_PORT": "y", "HUB_BASE_URL": "hub.example.com"})
    for variable in ("HUB_PORT", "HUB_SMTP_PORT", "HUB_BASE_URL"):
        assert variable in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("variable", ["HUB_BASE_URL", "HUB_TEMPORAL_UI"])
def test_an_address_that_is_none_is_named_with_its_variable(variable: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"{variable} is 'temporal:8080'; write an address"):
        Settings.read({variable: "temporal:8080"})


def test_two_parts_on_one_port_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="HUB_PORT and HUB_TEMPORAL_UI_PORT are both 8233"):
        Settings.read({"HUB_PORT": "8233"})


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"HUB_HOST": "::1"}, "http://[::1]:8080"),
        ({"HUB_BASE_URL": "https://hub.example.com/"}, "https://hub.example.com"),
    ],
)
def test_the_address_that_links_begin_with(env: dict[str, str], url: str) -> None:
    assert Settings.read(env).url == url
