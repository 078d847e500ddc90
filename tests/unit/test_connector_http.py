"""The parts of the http connector that need no server."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.client import key_header
from connectors.http.failures import retry_after, status_failure
from connectors.http.guard import Guard, check_allow, is_public

NOW = datetime(2026, 1, 1, tzinfo=UTC)

INSIDE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.1",
    "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::", "fe80::1%eth0",
    "2001:db8::1",
]  # fmt: skip
OUTSIDE = [
    "93.184.216.34",
    "1.1.1.1",
    "172.32.0.1",
    "2606:4700::1111",
    "64:ff9b::101:101",
    "2002:101:101::",
]


@pytest.mark.parametrize("text", INSIDE)
def test_addresses_inside_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not Guard().allows("example.com", 443, ip_address(text))


@pytest.mark.parametrize("text", OUTSIDE)
def test_addresses_outside_are(text: str) -> None:
    assert Guard().allows("example.com", 443, ip_address(text))


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_changes_nothing(address: IPv4Address) -> None:
    number = int(address)
    mapped = IPv6Address((0xFFFF << 32) + number)
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) + number)
    assert is_public(mapped) == is_public(translated) == is_public(address)


def test_a_name_does_not_stand_for_metadata() -> None:
    guard = Guard(["internal.example", "*.svc"], trusted=[("base.example", 80)])
    for host in ("internal.example", "INTERNAL.example.", "a.svc", "base.example"):
        assert guard.allows(host, 80, ip_address("10.0.0.1"))
        assert not guard.allows(host, 80, ip_address("169.254.169.254"))
        assert not guard.allows(host, 80, ip_address("fe80::1"))
    assert not guard.allows("base.example", 81, ip_address("10.0.0.1"))
    assert not guard.allows("evil.example", 80, ip_address("10.0.0.1"))
    assert Guard(["169.254.169.254"]).allows("x", 80, ip_address("::ffff:169.254.169.254"))
    assert Guard(trusted=[("169.254.169.254", 80)]).allows("169.254.169.254", 80, ip_address("169.254.169.254"))  # fmt: skip


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://a", "a/b", "1.2.3", "*"])
def test_what_is_no_entry_of_allow(entry: str) -> None:
    if entry == "*":
        check_allow([entry])
        return
    with pytest.raises(ValueError, match="allow"):
        check_allow([entry])


@given(st.text(max_size=300))
def test_every_key_fits_into_a_header_and_none_is_another_ones(key: str) -> None:
    header = key_header(key)
    assert header.isascii()
    assert header.isprintable()
    assert 0 < len(header) <= 255
    assert header == key or header == hashlib.sha256(key.encode()).hexdigest()


@given(st.text(max_size=60))
def test_no_retry_after_breaks_anything(value: str) -> None:
    wait = retry_after({"retry-after": value}, NOW)
    assert wait is None or 0 <= wait <= 86400


@given(st.binary(max_size=400), st.integers(300, 599))
def test_no_body_breaks_the_message(body: bytes, status: int) -> None:
    error = status_failure("GET https://x.example", status, {}, body, NOW)
    assert error.failure == f"http_{status}"
    assert "\n" not in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "a", "title": "b"}', "a"),
        (b'{"error": {"message": "m", "code": 1}}', "m"),
        (b'{"error": "e", "error_description": "d"}', "d"),
        (b"<html>no</html>", None),
        (b"plain\r\n text", "plain text"),
    ],
)
def test_the_services_own_words_are_told(body: bytes, said: str | None) -> None:
    message = status_failure("GET https://x.example", 400, {}, body, NOW).message
    assert message == "GET https://x.example says 400" + (f": {said}" if said else "")
