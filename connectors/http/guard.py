"""Which addresses may be connected to: the guard against requests into one's own network.

The check is made on the address that is then really connected to, so a name that answers
differently the second time gains nothing.

Sources: RFC 6890 (special-purpose addresses), RFC 6052 (NAT64), OWASP "Server-Side Request
Forgery Prevention".
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import httpcore

__all__ = ["AddressForbidden", "Guard", "GuardedBackend", "check_allow"]

Address = IPv4Address | IPv6Address

_METADATA: Final = frozenset(
    map(ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"))
)
"""Where clouds keep the credentials of a machine."""
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_FIRST_ADDRESS_SECONDS: Final = 2.0


class AddressForbidden(Exception):
    """The connection's settings do not allow this address."""

    def __init__(self, host: str, address: Address) -> None:
        self.host = host
        self.address = address
        super().__init__(f"{host} is {address}" if host != str(address) else host)


class Guard:
    """What a connection may reach: public addresses, and what `allow` names beside them.

    An entry of `allow` is a network (`10.0.0.0/8`), an address, or the name of a host, also with
    `*`. A name stands for private addresses and this machine, but never for link-local ones or a
    cloud's metadata: those must be named as addresses. `trusted` are (host, port) pairs of the
    settings themselves, which count like names.
    """

    def __init__(self, allow: Iterable[str] = (), trusted: Iterable[tuple[str, int]] = ()) -> None:
        self._networks = []
        self._names: list[str] = []
        self._trusted = frozenset((host.lower().rstrip("."), port) for host, port in trusted)
        for entry in allow:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.append(entry.lower().rstrip("."))

    def allows(self, host: str, port: int, address: Address) -> bool:
        """May this address be connected to, for a URL with this host and port?"""
        address = _plain(address)
        if any(address in network for network in self._networks):
            return True
        if is_public(address):
            return True
        name = host.lower().rstrip(".")
        if str(address) == name.strip("[]") and (name, port) in self._trusted:
            return True
        if address in _METADATA or _is_treacherous(address):
            return False
        return (name, port) in self._trusted or any(fnmatchcase(name, n) for n in self._names)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that a guard allows, and to no other."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look the host up and connect to the first of its addresses that answers.

        Raises `AddressForbidden` when one of them is not allowed: a name with a good and a bad
        address is not to be trusted at all.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await _look_up(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host} was not found in time") from None
        for address in addresses:
            if not self._guard.allows(host, port, address):
                raise AddressForbidden(host, _plain(address))
        options = None if socket_options is None else tuple(socket_options)
        for address in addresses[:-1]:
            try:
                # Another address is left, so this one gets less than all of the time.
                short = _FIRST_ADDRESS_SECONDS if timeout is None else timeout / len(addresses)
                return await self._sockets.connect_tcp(
                    str(address), port, short, local_address, options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(
            str(addresses[-1]), port, timeout, local_address, options
        )

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: no setting asks for one."""
        raise httpcore.UnsupportedProtocol("unix sockets are not used")

    async def sleep(self, seconds: float) -> None:
        """Wait; the pool asks for this between attempts to connect."""
        await asyncio.sleep(seconds)


def is_public(address: Address) -> bool:
    """Is it an address of the public internet, also as what it stands for within IPv6?"""
    address = _plain(address)
    if isinstance(address, IPv6Address):
        inner = [address.sixtofour, *(address.teredo or ())]
        if any(found is not None and not is_public(found) for found in inner):
            return False
        for network in _NAT64:
            if address in network:
                return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address.is_global and not address.is_multicast and address not in _METADATA


def check_allow(entries: Sequence[str]) -> None:
    """Raise `ValueError` for an entry of `allow` that is neither network, address nor name."""
    for entry in entries:
        try:
            ip_network(entry, strict=False)
        except ValueError:
            plain = entry.replace("*", "x").rstrip(".")
            if not plain or "/" in entry or ":" in entry or plain.replace(".", "").isdigit():
                raise ValueError(
                    f"allow: {entry!r} is no network, address or name of a host"
                ) from None


def _plain(address: Address) -> Address:
    """The IPv4 address in an IPv6 one that merely maps it; no zone."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _is_treacherous(address: Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified


async def _look_up(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the host {host} is not found") from error
    addresses = (ip_address(str(place[0])) for *_, place in found)
    if not (unique := list(dict.fromkeys(addresses))):
        raise httpcore.ConnectError(f"the host {host} has no address")
    return unique
