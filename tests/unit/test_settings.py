from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import InvalidSetting
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
