"""The development inbox: an SMTP server that keeps every mail and delivers none."""

from __future__ import annotations

import asyncio
import email
import email.header
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from aiosmtpd.smtp import SMTP, Envelope

from hub.errors import PortTaken
from hub.ports import taken

__all__ = ["Inbox", "Mail", "MailFile", "images_of"]

_MARK: Final = b"X-Hub-Inbox: "
_MAX_MAIL: Final = 32 * 1024 * 1024
_MAX_TEXT: Final = 1_000_000
_MAX_IMAGES: Final = 8 * 1024 * 1024
_LINK = re.compile(r"https?://[^\s<>\"'`\\^{}|]+")
_log = structlog.get_logger(__name__)


class MailFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came along with a mail. `size` is in bytes."""

    name: str
    type: str
    size: int


class Mail(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One mail as it arrived, read.

    `n` counts up and is never given twice while the inbox lives. `sender` and `to` are the
    envelope's, so `to` includes hidden recipients. `repeated` tells that an earlier mail has the
    same Message-ID. `text` and `html` hold at most a million characters each.
    """

    n: int
    message_id: str | None
    sender: str
    to: list[str]
    subject: str
    text: str | None
    html: str | None
    links: list[str]
    at: datetime
    repeated: bool = False
    headers: list[tuple[str, str]] = []
    attachments: list[MailFile] = []


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    sender: str
    to: list[str]
    at: datetime


class Inbox:
    """Keeps the last mails, in memory as they read and in `folder` as they came.

    A restart shows the mails that were there before. `keep` is how many; the oldest go first.
    """

    def __init__(self, folder: Path, *, keep: int = 1000) -> None:
        self._folder = folder
        self._keep = keep
        self._mails: dict[int, Mail] = {}
        self._last = 0
        self._server: asyncio.Server | None = None
        self._open: set[SMTP] = set()

    async def start(self, host: str, port: int) -> int:
        """Read what is kept, then listen; with port 0 on any free one. Returns the port.

        Raises `PortTaken`.
        """
        await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._protocol, host, port)
        except OSError as error:
            raise PortTaken(
                taken(host, port, what="the mail inbox", setting="HUB_SMTP_PORT", error=error)
            ) from None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop the connections there are. What was accepted is on disk."""
        if self._server is None:
            return
        self._server.close()
        for protocol in self._open:
            if isinstance(protocol.transport, asyncio.WriteTransport):
                protocol.transport.abort()
        await self._server.wait_closed()
        self._server = None
        self._open.clear()

    def mails(self, *, before: int | None = None) -> Iterator[Mail]:
        """The mails, newest first; with `before` only those with a lower number."""
        for n in sorted(self._mails, reverse=True):
            if before is None or n < before:
                yield self._mails[n]

    def get(self, n: int) -> Mail | None:
        """The mail of that number, or None when there is none (any more)."""
        return self._mails.get(n)

    async def raw(self, n: int) -> bytes | None:
        """The source of the mail of that number, byte by byte as it came."""
        return await asyncio.to_thread(self._source, n)

    async def clear(self) -> None:
        """Throw all mails away."""
        gone, self._mails = list(self._mails), {}
        await asyncio.to_thread(self._remove, gone)

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keep one mail; called by the SMTP server. The sender gets its yes when it is on disk."""
        self._last += 1
        n = self._last
        raw = envelope.original_content or b""
        about = _Envelope(
            sender=_clean(envelope.mail_from or ""),
            to=[_clean(address) for address in envelope.rcpt_tos],
            at=datetime.now(UTC),
        )
        mail = self._flagged(_read(n, about, raw))
        # It counts from here on, so that two at once see each other as repeated.
        self._mails[n] = mail
        try:
            await asyncio.to_thread(self._write, n, about, raw)
        except OSError as error:
            self._mails.pop(n, None)
            _log.warning("a mail could not be kept", error=str(error))
            return "451 the mail could not be kept"
        if n not in self._mails:
            await asyncio.to_thread(self._remove, [n])
        surplus = sorted(self._mails)[: -self._keep]
        for old in surplus:
            del self._mails[old]
        if surplus:
            await asyncio.to_thread(self._remove, surplus)
        return f"250 kept as mail {n}"

    async def handle_exception(self, error: Exception) -> str:
        """Answer for what went wrong in the SMTP server itself."""
        _log.warning("the mail inbox failed", error=repr(error))
        return "451 the inbox failed"

    def _protocol(self) -> SMTP:
        protocol = _Protocol(
            self,
            data_size_limit=_MAX_MAIL,
            enable_SMTPUTF8=True,
            hostname="hub.localhost",
            ident="development inbox",
            loop=asyncio.get_running_loop(),
        )
        protocol.among = self._open
        return protocol

    def _path(self, n: int) -> Path:
        return self._folder / f"{n:08d}.eml"

    def _write(self, n: int, about: _Envelope, raw: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(n)
        draft = path.with_suffix(".part")
        draft.write_bytes(_MARK + msgspec.json.encode(about) + b"\r\n" + raw)
        draft.replace(path)

    def _remove(self, numbers: list[int]) -> None:
        for n in numbers:
            self._path(n).unlink(missing_ok=True)

    def _source(self, n: int) -> bytes | None:
        try:
            return self._path(n).read_bytes().partition(b"\r\n")[2]
        except OSError:
            return None

    def _load(self) -> None:
        if not self._folder.is_dir():
            return
        for draft in self._folder.glob("*.part"):
            draft.unlink(missing_ok=True)
        numbered = sorted(
            (int(path.stem), path) for path in self._folder.glob("*.eml") if path.stem.isdecimal()
        )
        for n, path in numbered:
            self._last = max(self._last, n)
            first, _, raw = path.read_bytes().partition(b"\r\n")
            try:
                about = msgspec.json.decode(first.removeprefix(_MARK), type=_Envelope)
            except msgspec.MsgspecError:
                continue
            self._mails[n] = self._flagged(_read(n, about, raw))
        surplus = sorted(self._mails)[: -self._keep]
        for n in surplus:
            del self._mails[n]
        self._remove(surplus)

    def _flagged(self, mail: Mail) -> Mail:
        repeated = mail.message_id is not None and any(
            other.message_id == mail.message_id for other in self._mails.values()
        )
        return msgspec.structs.replace(mail, repeated=repeated)


class _Protocol(SMTP):
    """A connection that is known to its inbox for as long as it is open."""

    among: set[SMTP]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.among.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.among.discard(self)
        super().connection_lost(error)


def images_of(raw: bytes) -> dict[str, tuple[str, bytes]]:
    """The images that a mail brings along for its HTML: Content-ID to (media type, content)."""
    found: dict[str, tuple[str, bytes]] = {}
    left = _MAX_IMAGES
    for part in email.message_from_bytes(raw).walk():
        kind = part.get_content_type()
        name = _header(part, "content-id").strip().removeprefix("<").removesuffix(">")
        if name and kind in ("image/png", "image/jpeg", "image/gif", "image/webp"):
            content = _payload(part)
            left -= len(content)
            if left < 0:
                break
            found[name] = (kind, content)
    return found


def _read(n: int, about: _Envelope, raw: bytes) -> Mail:
    """Read a mail, whatever it is: a hostile one is shown as far as it can be read."""
    message = email.message_from_bytes(raw)
    text: str | None = None
    html: str | None = None
    files: list[MailFile] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        named = _decoded(part.get_filename() or "")
        attached = part.get_content_disposition() == "attachment" or bool(named)
        if not attached and kind == "text/plain" and text is None:
            text = _text(part)
        elif not attached and kind == "text/html" and html is None:
            html = _text(part)
        else:
            files.append(MailFile(name=named or "unnamed", type=kind, size=len(_payload(part))))
    return Mail(
        n=n,
        message_id=_header(message, "message-id").strip() or None,
        sender=about.sender,
        to=about.to,
        subject=_header(message, "subject"),
        text=text,
        html=html,
        links=_links(text, html),
        at=about.at,
        headers=[(_decoded(name), _decoded(value)) for name, value in message.raw_items()],
        attachments=files,
    )


def _header(message: Message, name: str) -> str:
    for found, value in message.raw_items():
        if found.lower() == name:
            return _decoded(value)
    return ""


def _decoded(value: Any) -> str:
    """A header's text: raw UTF-8 as it is, encoded words decoded where they can be, one line."""
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        text = str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, ValueError, email.errors.HeaderParseError):
        pass
    return " ".join(_clean(text).split())


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    payload = _payload(part)
    try:
        text = payload.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        text = payload.decode("utf-8", "replace")
    return _clean(text[:_MAX_TEXT]).replace("\r\n", "\n")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _links(text: str | None, html: str | None) -> list[str]:
    found: list[str] = []
    if html is not None:
        reader = _LinkReader()
        reader.feed(html)
        reader.close()
        found += reader.links
    for link in _LINK.findall(text or ""):
        link = link.rstrip(".,;:!?*_")
        found.append(link.rstrip(")") if "(" not in link else link)
    return list(dict.fromkeys(found))


class _LinkReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("a", "area"):
            link = (dict(attrs).get("href") or "").strip()
            if link.lower().startswith(("http://", "https://")):
                self.links.append(link)
