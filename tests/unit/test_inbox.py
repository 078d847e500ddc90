from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.testing import AsyncTestClient

from hub.access import Caller
from hub.dev import inbox as inbox_module
from hub.dev.inbox import Inbox
from hub.dev.mail_page import mail_router
from hub.errors import NotFound, PortTaken

HOSTILE = """<html><head><base href="https://evil.example/" target="_self">
<meta http-equiv="refresh" content="0; url=https://evil.example/"></head><body>
<script>parent.document.title = "taken"</script><img src=x onerror="alert(1)">
</iframe></textarea><script>alert(2)</script>" onload="alert(3)"
<a href="javascript:alert(4)">a</a> <a href="https://hub.example/callbacks/t?a=1&amp;b=2">b</a>"""


def message(subject: str = "Hello", text: str | None = "Hi", **headers: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = "hub@example.com"
    made["To"] = "ada@example.com"
    made["Subject"] = subject
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    if text is not None:
        made.set_content(text)
    return made


class Post:
    """An inbox with its port and its page, and who looks at that."""

    client: AsyncTestClient[Litestar]

    def __init__(self, inbox: Inbox, port: int) -> None:
        self.inbox = inbox
        self.port = port
        self.reader = Caller(name="ada", how="development", roles=frozenset({"operator"}))

    async def send(self, mail: EmailMessage | bytes, *to: str) -> None:
        content = mail if isinstance(mail, bytes) else mail.as_bytes()
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.port, local_hostname="test", start_tls=False
        ) as client:
            await client.sendmail("hub@example.com", list(to) or ["ada@example.com"], content)

    async def json(self, query: str = "") -> Any:
        answer = await self.client.get(f"/dev/mail?format=json{query}")
        assert answer.status_code == 200
        return answer.json()


def _not_found(request: Request[Any, Any, Any], error: NotFound) -> Response[str]:
    return Response(error.message, status_code=error.status)


@pytest_asyncio.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    inbox = Inbox(tmp_path / "mail")
    port = await inbox.start("127.0.0.1", 0)
    made = Post(inbox, port)

    def let_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        connection.scope["user"] = made.reader

    app = Litestar([mail_router(inbox)], guards=[let_in], exception_handlers={NotFound: _not_found})
    async with AsyncTestClient(app) as made.client:
        yield made
    await inbox.close()


async def test_a_mail_is_kept_and_read(post: Post) -> None:
    mail = message("Grüße", "See https://hub.example/a?b=c.\n", Message_ID="<m1@example.com>")
    mail.add_alternative('<p><a href="https://hub.example/x">x</a></p>', subtype="html")
    await post.send(mail, "ada@example.com", "hidden@example.com")
    page = await post.json()
    assert page["next"] is None
    (item,) = page["items"]
    assert item.pop("at").endswith("Z")
    assert dict(item.pop("headers"))["Subject"] == "Grüße"
    assert item == {
        "n": 1,
        "message_id": "<m1@example.com>",
        "from": "hub@example.com",
        "to": ["ada@example.com", "hidden@example.com"],
        "subject": "Grüße",
        "text": "See https://hub.example/a?b=c.\n",
        "html": '<p><a href="https://hub.example/x">x</a></p>\n',
        "links": ["https://hub.example/x", "https://hub.example/a?b=c"],
        "repeated": False,
        "attachments": [],
    }


async def test_attachments_are_listed(post: Post) -> None:
    mail = message()
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="pdf", filename="ä.pdf")
    await post.send(mail)
    (item,) = (await post.json())["items"]
    assert item["attachments"] == [{"name": "ä.pdf", "type": "application/pdf", "size": 2}]
    assert item["text"] == "Hi\n"


async def test_the_source_comes_back_byte_by_byte(post: Post) -> None:
    raw = b"Subject: x\r\n\r\n.dot\r\n\xff\xfe <script>\r\n"
    await post.send(raw)
    answer = await post.client.get("/dev/mail/1/raw")
    assert answer.content == raw
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_repeated_message_is_kept_and_flagged(post: Post, tmp_path: Path) -> None:
    for subject in ("first", "second"):
        await post.send(message(subject, Message_ID="<same@example.com>"))
    await post.send(message("no id"))
    await post.send(message("no id either"))
    flags = {m["subject"]: m["repeated"] for m in (await post.json())["items"]}
    assert flags == {"first": False, "second": True, "no id": False, "no id either": False}
    again = Inbox(tmp_path / "mail")
    await again.start("127.0.0.1", 0)
    assert [m.repeated for m in again.mails()] == [False, False, True, False]
    await again.close()


async def test_a_restart_shows_the_mails_and_counts_on(post: Post, tmp_path: Path) -> None:
    await post.send(message("one"), "a@example.com", "b@example.com")
    await post.send(message("two"))
    before = list(post.inbox.mails())
    (tmp_path / "mail" / "00000003.part").write_bytes(b"half a ma")
    (tmp_path / "mail" / "00000004.eml").write_bytes(b"no mail of ours")
    (tmp_path / "mail" / "notes.eml").write_bytes(b"x")
    again = Inbox(tmp_path / "mail")
    port = await again.start("127.0.0.1", 0)
    assert list(again.mails()) == before
    assert await again.raw(1) == await post.inbox.raw(1)
    assert not (tmp_path / "mail" / "00000003.part").exists()
    await Post(again, port).send(message("three"))
    assert [(m.n, m.subject) for m in again.mails()] == [(5, "three"), (2, "two"), (1, "one")]
    await again.close()


async def test_the_oldest_go_first(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, keep=3)
    port = await inbox.start("127.0.0.1", 0)
    sender = Post(inbox, port)
    for number in range(5):
        await sender.send(message(str(number)))
    assert [m.subject for m in inbox.mails()] == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 3
    assert await inbox.raw(1) is None
    await inbox.close()
    smaller = Inbox(tmp_path, keep=1)
    await smaller.start("127.0.0.1", 0)
    assert [m.subject for m in smaller.mails()] == ["4"]
    assert len(list(tmp_path.iterdir())) == 1
    await smaller.close()


async def test_many_at_once_are_all_kept(post: Post, tmp_path: Path) -> None:
    await asyncio.gather(*(post.send(message(str(number))) for number in range(20)))
    assert sorted(int(m.subject) for m in post.inbox.mails()) == list(range(20))
    assert len({m.n for m in post.inbox.mails()}) == 20
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 20


async def test_what_cannot_be_kept_is_not_accepted(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(post.inbox, "_write", full)
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await post.send(message())
    assert caught.value.code == 451
    assert list(post.inbox.mails()) == []


async def test_a_port_that_is_taken_is_said(post: Post, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match="HUB_SMTP_PORT"):
        await Inbox(tmp_path / "other").start("127.0.0.1", post.port)


async def test_closing_drops_the_connections_there_are(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    port = await inbox.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await inbox.close()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await inbox.close()


@given(st.binary(max_size=400))
def test_no_mail_breaks_the_reader(raw: bytes) -> None:
    about = inbox_module._Envelope(sender="", to=[], at=datetime.now(UTC))
    inbox_module._read(1, about, raw)


HEADERS: dict[str, Callable[[str], str]] = {
    "unknown charset": lambda word: "=?no-such?q?a?=",
    "bad base64": lambda word: "=?utf-8?b?!!!?=",
    "null in the charset": lambda word: "=?utf-8\0?q?a?=",
    "an address": lambda word: f'"{word}" <a@b> (c',
}


@pytest.mark.parametrize("value", [make("w") for make in HEADERS.values()], ids=HEADERS)
@pytest.mark.parametrize("charset", ["no-such", "utf-8\0", "rot13", "hex", "idna"])
async def test_odd_headers_and_charsets_are_shown_as_far_as_they_go(
    post: Post, value: str, charset: str
) -> None:
    await post.send(
        f"Subject: {value}\r\nContent-ID: {value}\r\nFrom: {value}\r\n"
        f'Content-Type: text/html; charset="{charset}"; name*0*=x\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\ncid:x=\r\n".encode()
    )
    assert (await post.client.get("/dev/mail")).status_code == 200
    assert (await post.client.get("/dev/mail/1")).status_code == 200


# --- pages


async def test_an_empty_inbox_says_what_will_be_here(post: Post) -> None:
    answer = await post.client.get("/dev/mail")
    assert answer.headers["content-type"].startswith("text/html")
    assert "No mail yet" in answer.text
    assert await post.json() == {"items": [], "next": None}


async def test_json_is_had_by_accept_too(post: Post) -> None:
    answer = await post.client.get("/dev/mail", headers={"accept": "application/json"})
    assert answer.json() == {"items": [], "next": None}
    await post.send(message("one"))
    answer = await post.client.get("/dev/mail/1", headers={"accept": "application/json"})
    assert answer.json()["subject"] == "one"


async def test_a_long_list_comes_in_pages(post: Post) -> None:
    for number in range(3):
        await post.send(message(str(number)))
    first = await post.json("&limit=2")
    assert ([m["subject"] for m in first["items"]], first["next"]) == (["2", "1"], 2)
    second = await post.json(f"&limit=2&before={first['next']}")
    assert ([m["subject"] for m in second["items"]], second["next"]) == (["0"], None)
    page = (await post.client.get("/dev/mail?limit=2")).text
    assert "/dev/mail?before=2" in page


async def test_all_can_be_thrown_away(post: Post, tmp_path: Path) -> None:
    await post.send(message())
    assert (await post.client.delete("/dev/mail")).status_code == 204
    assert (await post.json())["items"] == []
    assert list((tmp_path / "mail").iterdir()) == []
    assert (await post.client.get("/dev/mail/1")).status_code == 404
    assert (await post.client.get("/dev/mail/1/raw")).status_code == 404


async def test_the_page_brings_along_what_a_change_by_a_session_takes(post: Post) -> None:
    await post.send(message())
    page = (await post.client.get("/dev/mail")).text
    assert ("Throw all away" in page, "data-csrf" in page) == (True, False)
    post.reader = Caller(name="ada", how="session", roles=frozenset({"operator"}), csrf="x&y")
    assert 'data-csrf="x&amp;y"' in (await post.client.get("/dev/mail")).text
    # Who may only look is offered nothing else.
    post.reader = Caller(name="vic", how="session", roles=frozenset({"viewer"}), csrf="z")
    page = (await post.client.get("/dev/mail")).text
    assert ("Hello" in page, "Throw all away" in page) == (True, False)


async def test_hostile_mail_reaches_the_pages_only_as_text(post: Post) -> None:
    await post.send(
        b"Subject: <script>alert(1)</script>\r\nX-Evil: <script>alert(2)</script>\r\n"
        b'Message-ID: "><script>alert(3)</script>\r\nContent-Type: text/html\r\n\r\n'
        + HOSTILE.encode()
    )
    listed = await post.client.get("/dev/mail")
    shown = await post.client.get("/dev/mail/1")
    # The only script is the list's own, by its hash; the mail's page has none at all.
    assert len(re.findall(r"<script", listed.text)) == 1
    assert "script-src 'sha256-" in listed.headers["content-security-policy"]
    assert "<script" not in shown.text
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    (frame,) = re.findall(r"<iframe[^>]*>", shown.text)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert "onload=&#34;" in frame
    assert "refresh" not in frame
    assert 'href="javascript' not in shown.text
    (link,) = re.findall(r'<a href="(http[^"]*)" target="_blank"[^>]*>', shown.text)
    assert link == "https://hub.example/callbacks/t?a=1&amp;b=2"


async def test_the_style_and_script_are_those_that_the_policy_lets_in(post: Post) -> None:
    import base64
    import hashlib

    answer = await post.client.get("/dev/mail")
    for tag in ("style", "script"):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


async def test_images_that_came_along_are_shown_in_the_frame(post: Post) -> None:
    mail = message()
    mail.add_alternative('<img src="cid:logo"><img src="cid:none">', subtype="html")
    html = mail.get_body(("html",))
    assert html is not None
    html.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo>")
    await post.send(mail)
    page = (await post.client.get("/dev/mail/1")).text
    assert "data:image/png;base64,iVBORw==" in page
    assert "cid:none" in page
