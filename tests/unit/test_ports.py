from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.errors import PortTaken
from hub.ports import claim, find_free, listener

CAN_TELL = Path("/proc/net/tcp").exists()


@pytest.fixture
def held() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


def test_a_free_port_can_be_claimed_and_is_left_free() -> None:
    port = find_free()
    claim("127.0.0.1", port, what="the hub", setting="HUB_PORT")
    claim("127.0.0.1", port, what="the hub", setting="HUB_PORT")


def test_a_taken_port_is_named_with_the_setting_that_moves_it(held: int) -> None:
    with pytest.raises(PortTaken) as caught:
        claim("127.0.0.1", held, what="the mail inbox", setting="HUB_SMTP_PORT")
    message = caught.value.message
    assert f"port {held}, where the mail inbox would listen, is taken" in message
    assert "set HUB_SMTP_PORT to a free port, for example HUB_SMTP_PORT=" in message


@pytest.mark.skipif(not CAN_TELL, reason="this system has no /proc to look in")
def test_a_taken_port_says_who_has_it(held: int) -> None:
    assert listener(held) is not None
    with pytest.raises(PortTaken) as caught:
        claim("127.0.0.1", held, what="the hub", setting="HUB_PORT")
    assert f"(process {os.getpid()})" in caught.value.message


def test_nobody_listens_on_a_free_port() -> None:
    assert listener(find_free()) is None


@pytest.mark.skipif(not CAN_TELL, reason="this system does not tell which ports it hands out")
def test_no_connection_is_given_a_port_that_was_found_free() -> None:
    range_ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    first, last = map(int, range_.split())
    assert not any(first <= find_free() <= last for _ in range(200))


def test_a_host_that_is_not_of_this_machine_is_told_apart_from_a_taken_port() -> None:
    with pytest.raises(PortTaken) as caught:
        claim("192.0.2.1", 8080, what="the hub", setting="HUB_HOST")
    assert "cannot listen on 192.0.2.1:8080" in caught.value.message
