from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import aiosmtpd.smtp
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.email import Email
from hub.connector import Connector
from hub.errors import ActionFailed, ActionRefused
from tests.contracts.connector import ConnectorContract, FailingCall, GivenCall

MAIL: dict[str, Any] = {"to": "ada@example.com", "subject": "Hello", "text": "Hi"}


class Mailbox:
    """A real SMTP server's other end: keeps every mail, and refuses what it is told to."""

    def __init__(self) -> None:
        self.envelopes: list[aiosmtpd.smtp.Envelope] = []
        self.refuse: dict[str, str] = {}
        self.answer = "250 kept"
        self.logins: list[tuple[str, str]] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return self.answer

    def authenticate(self, server: Any, session: Any, envelope: Any, way: str, data: Any) -> Any:
        user, password = data.login.decode(), data.password.decode()
        self.logins.append((user, password))
        return aiosmtpd.smtp.AuthResult(success=user == "hub", handled=False)

    def message(self) -> EmailMessage:
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


@asynccontextmanager
async def smtp_server(
    mailbox: Mailbox, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    protocols: list[aiosmtpd.smtp.SMTP] = []

    def protocol() -> aiosmtpd.smtp.SMTP:
        made = aiosmtpd.smtp.SMTP(
            mailbox, hostname="test", enable_SMTPUTF8=True, loop=loop, **options
        )
        protocols.append(made)
        return made

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for made in protocols:
            if isinstance(made.transport, asyncio.WriteTransport):
                made.transport.abort()
        await server.wait_closed()


Dialogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile_server(dialogue: Dialogue) -> AsyncIterator[int]:
    tasks: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await dialogue(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


def script(*answers: bytes | None) -> Dialogue:
    """A server that greets, answers each line with the next of these, and then hangs up.

    None is silence. In the text of a mail only its last line counts.
    """

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = False
        for answer in answers:
            if answer is None:
                await asyncio.Event().wait()
                return
            writer.write(answer)
            await writer.drain()
            await reader.readuntil(b"\r\n.\r\n" if data else b"\r\n")
            data = answer.startswith(b"354")

    return dialogue


GREETING, OK, GO = b"220 test\r\n", b"250 ok\r\n", b"354 go\r\n"
BAD_DATA = (GREETING, OK, OK, OK, GO)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hang_up_in_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for answer in BAD_DATA:
        writer.write(answer)
        await writer.drain()
        await reader.readline()


def plain(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "tls": "none", **more}


@pytest_asyncio.fixture
async def mailbox() -> Mailbox:
    return Mailbox()


@pytest_asyncio.fixture
async def port(mailbox: Mailbox) -> AsyncIterator[int]:
    async with smtp_server(mailbox) as found:
        yield found


Send = Callable[..., Awaitable[Any]]


@pytest.fixture
def send(port: int, tmp_path: Path) -> Send:
    async def sent(call: GivenCall | None = None, **changes: Any) -> Any:
        given = {name: value for name, value in {**MAIL, **changes}.items() if value is not None}
        connections = TestContract().connections(
            tmp_path, plain(port, **{"from": "The Hub <hub@example.com>"})
        )
        return await connections.run("email.send", given, call or GivenCall(tmp_path))

    return sent


class TestContract(ConnectorContract):
    kind: ClassVar[type[Connector]] = Email
    settings: ClassVar[Mapping[str, Any]] = {
        "host": "smtp.example.com",
        "username": "hub",
        "password": "${{ env.PLANTED }}",
        "from": "hub@example.com",
    }
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {"email.send": MAIL}

    @pytest_asyncio.fixture
    async def failing_calls(
        self, tmp_path: Path, certificate: ssl.SSLContext
    ) -> AsyncIterator[Sequence[FailingCall]]:
        async with AsyncExitStack() as servers:
            found: list[FailingCall] = []

            def fails(port: int, failure: str, retryable: bool, **settings: Any) -> None:
                found.append(
                    FailingCall(
                        action="email.send",
                        settings=plain(
                            port, **{"password": "${{ env.PLANTED }}", "timeout": 2} | settings
                        ),
                        arguments=MAIL,
                        failure=failure,
                        retryable=retryable,
                    )
                )

            async def hostile(dialogue: Dialogue) -> int:
                return await servers.enter_async_context(hostile_server(dialogue))

            async def answers(*texts: bytes | None) -> int:
                return await hostile(script(*texts))

            # The secret comes back in what the server says, plain and in base64.
            echo = b"pl4nted/secret+value cGw0bnRlZC9zZWNyZXQrdmFsdWU=\r\n"
            fails(await answers(b"421 busy " + echo), "smtp_temporary", True)
            fails(await answers(b"554 no " + echo), "smtp_rejected", False)
            fails(await answers(GREETING, OK, b"451 later " + echo), "smtp_temporary", True)
            fails(await answers(GREETING, OK, b"550 never " + echo), "smtp_rejected", False)
            fails(await answers(GREETING, OK, OK, b"450 full " + echo, OK), "smtp_temporary", True)
            fails(await answers(GREETING, OK, OK, b"550 who " + echo, OK), "smtp_rejected", False)
            fails(await answers(GREETING, OK, OK, OK, b"452 full " + echo), "smtp_temporary", True)
            fails(await answers(*BAD_DATA, b"554 spam " + echo), "smtp_rejected", False)
            fails(await answers(*BAD_DATA, b"451 grey " + echo), "smtp_temporary", True)
            fails(await answers(b"HTTP/1.1 200 OK " + echo), "smtp_protocol", True)
            fails(await answers(GREETING, b"\x00\xff\xfe" + echo), "smtp_protocol", True)
            fails(await answers(*BAD_DATA, b"what? " + echo), "smtp_protocol", True)
            fails(await answers(GREETING), "smtp_unavailable", True)
            fails(await answers(*BAD_DATA), "smtp_unavailable", True)
            fails(await hostile(hang_up_in_data), "smtp_unavailable", True)
            fails(await hostile(silence), "smtp_timeout", True, timeout=0.05)
            fails(await answers(*BAD_DATA, None), "smtp_timeout", True, timeout=0.05)
            auth = b"250-test\r\n250 AUTH PLAIN\r\n"
            fails(
                await answers(GREETING, auth, b"535 no " + echo, OK),
                "smtp_auth",
                False,
                username="hub",
            )
            fails(
                await answers(GREETING, auth, b"454 later " + echo, OK),
                "smtp_temporary",
                True,
                username="hub",
            )
            fails(await answers(GREETING, OK, OK), "smtp_unsupported", False, username="hub")
            fails(await answers(GREETING, OK, OK), "smtp_unsupported", False, tls="starttls")
            unknown = await servers.enter_async_context(
                smtp_server(Mailbox(), tls_context=certificate)
            )
            fails(unknown, "smtp_tls", False, tls="starttls")
            unknown = await servers.enter_async_context(smtp_server(Mailbox(), certificate))
            fails(unknown, "smtp_tls", False, tls="tls")
            fails(await answers(GREETING), "smtp_unavailable", True, tls="tls")
            fails(_closed_port(), "smtp_unavailable", True)
            fails(25, "invalid_settings", False, tls="tls", ca_file="no-such.pem")
            yield found


def _closed_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- what arrives


async def test_a_mail_arrives(mailbox: Mailbox, send: Send) -> None:
    result = await send(text="Grüße, hier: https://example.com/a?b=c\n.\nnach dem Punkt\n")
    (envelope,) = mailbox.envelopes
    message = mailbox.message()
    assert envelope.mail_from == "hub@example.com"
    assert envelope.rcpt_tos == ["ada@example.com"]
    assert message["From"] == "The Hub <hub@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Hello"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == result["message_id"]
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(hours=1)
    assert message.get_content().replace("\r\n", "\n") == (
        "Grüße, hier: https://example.com/a?b=c\n.\nnach dem Punkt\n"
    )
    assert result["accepted"] == ["ada@example.com"]
    assert result["refused"] == []


async def test_a_repeated_attempt_is_the_same_mail(
    mailbox: Mailbox, send: Send, tmp_path: Path
) -> None:
    first = await send(GivenCall(tmp_path, attempt=1))
    second = await send(GivenCall(tmp_path, attempt=2))
    other = await send(GivenCall(tmp_path, idempotency_key="another step"))
    assert first["message_id"] == second["message_id"] != other["message_id"]
    assert first["message_id"].endswith("@example.com>")


async def test_every_kind_of_recipient(mailbox: Mailbox, send: Send) -> None:
    await send(
        to=["Ada <ada@example.com>", '"Müller, Bo" <bo@example.com>'],
        cc="cc@example.com",
        bcc=["secret@example.com", "ada@example.com"],
        reply_to="answers@example.com",
    )
    (envelope,) = mailbox.envelopes
    message = mailbox.message()
    assert envelope.rcpt_tos == [
        "ada@example.com",
        "bo@example.com",
        "cc@example.com",
        "secret@example.com",
    ]
    assert [address.display_name for address in message["To"].addresses] == ["Ada", "Müller, Bo"]
    assert message["Cc"] == "cc@example.com"
    assert message["Reply-To"] == "answers@example.com"
    assert b"secret@" not in (envelope.original_content or b"")


async def test_international_addresses(mailbox: Mailbox, send: Send) -> None:
    result = await send(to=["jörg@example.com", "ada@bücher.example"])
    assert result["accepted"] == ["jörg@example.com", "ada@xn--bcher-kva.example"]
    assert mailbox.envelopes[0].rcpt_tos == result["accepted"]


async def test_text_and_html_are_alternatives(mailbox: Mailbox, send: Send) -> None:
    await send(text="plain ✓", html="<p>rich ✓</p>")
    message = mailbox.message()
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert text.get_content().strip() == "plain ✓"
    assert html.get_content().strip() == "<p>rich ✓</p>"


async def test_html_alone_gets_a_text(mailbox: Mailbox, send: Send) -> None:
    await send(text=None, html="<p>rich <b>mail</b></p>")
    body = mailbox.message().get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "rich mail"


async def test_attachments_arrive_as_they_are(mailbox: Mailbox, send: Send) -> None:
    await send(
        attachments=[
            {"name": "report.csv", "content": "a,b\nä,2\n"},
            {"name": "ünïcode.bin", "content_base64": "AAECAw=="},
            {"name": "x", "content": "{}", "type": "application/json"},
            {"name": "mail.eml", "content": "Subject: x\n\nx"},
        ]
    )
    found = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in mailbox.message().iter_attachments()
    ]
    assert found == [
        ("report.csv", "text/csv", "a,b\nä,2\n".encode()),
        ("ünïcode.bin", "application/octet-stream", b"\x00\x01\x02\x03"),
        ("x", "application/json", b"{}"),
        ("mail.eml", "application/octet-stream", b"Subject: x\n\nx"),
    ]


async def test_further_headers(mailbox: Mailbox, send: Send) -> None:
    await send(headers={"X-Run": "tree/kéy", "List-Unsubscribe": "<https://example.com/u>"})
    assert mailbox.message()["X-Run"] == "tree/kéy"
    assert mailbox.message()["List-Unsubscribe"] == "<https://example.com/u>"


async def test_a_template_sees_the_run_and_links_back_to_it(
    mailbox: Mailbox, send: Send, tmp_path: Path
) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "welcome.subject.txt").write_text("Welcome {{ data.name }}\n")
    (folder / "welcome.txt").write_text(
        "{{ vars.email }} {{ event.id }} {{ run.id }} {{ steps.a }}\n"
        "{{ callback('verified', expires='7 days') }} {{ callback('other') }}\n"
    )
    call = GivenCall(
        tmp_path,
        scope={
            "vars": {"email": "ada@example.com"},
            "event": {"id": "e1"},
            "run": {"id": "tree/key"},
            "steps": {"a": 1},
        },
    )
    await send(call, template="welcome", subject=None, text=None, data={"name": "A\r\nBcc: x@y.zz"})
    assert mailbox.message()["Subject"] == "Welcome A Bcc: x@y.zz"
    assert mailbox.message()["Bcc"] is None
    assert mailbox.message().get_content().split() == [
        "ada@example.com",
        "e1",
        "tree/key",
        "1",
        "https://hub.example.com/callbacks/verified",
        "https://hub.example.com/callbacks/other",
    ]
    assert call.callbacks == [("verified", timedelta(days=7)), ("other", None)]


async def test_a_template_that_fails_says_where(send: Send, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "welcome.subject.txt").write_text("{{ nobody }}")
    (tmp_path / "templates" / "welcome.txt").write_text("{{ callback('a', expires='soon') }}")
    with pytest.raises(
        ActionRefused, match=r"templates/welcome\.subject\.txt:1:1.*nobody"
    ) as caught:
        await send(template="welcome", subject=None, text=None)
    assert caught.value.failure == "template"
    (tmp_path / "templates" / "welcome.subject.txt").write_text("Hi")
    with pytest.raises(ActionRefused, match=r"templates/welcome\.txt:1:1"):
        await send(template="welcome", subject=None, text=None)


# --- what does not


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example.com, eve@example.com",
        "ada@example.com; eve@example.com",
        "ada@example.com eve@example.com",
        "ada@example.com\r\nRCPT TO:<eve@example.com>",
        "ada@example.com\nBcc: eve@example.com",
        "Ada\r\nBcc: eve@example.com <ada@example.com>",
        "Ada <ada@example.com> <eve@example.com>",
        "Ada <ada@example.com>, Eve <eve@example.com>",
        "<ada@example.com> SIZE=1",
        "ada@example..com",
        ".ada@example.com",
        "ada@exa\u2028mple.com",
        "a" * 300 + "@example.com",
        "ada@" + "a" * 70 + ".com",
        "\ud800@example.com",
    ],
)
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "from"])
async def test_what_is_no_single_address_is_refused(
    mailbox: Mailbox, send: Send, field: str, address: str
) -> None:
    with pytest.raises(ActionRefused) as caught:
        await send(**{field: address})
    assert caught.value.failure == "invalid_input"
    assert f"email.send: {field}" in caught.value.message
    assert mailbox.envelopes == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"subject": "a\r\nBcc: eve@example.com"}, "subject"),
        ({"subject": None}, "subject"),
        ({"text": None}, "text"),
        ({"to": []}, "to"),
        ({"to": [f"a{n}@example.com" for n in range(501)]}, "to"),
        ({"template": "welcome"}, "template"),
        ({"headers": {"Bcc": "eve@example.com"}}, "headers.Bcc"),
        ({"headers": {"X-A": "1\r\nBcc: eve@example.com"}}, "headers.X-A"),
        ({"headers": {"X-A\r\nBcc": "eve@example.com"}}, "headers.X-A"),
        ({"headers": {"Content-Type": "text/html"}}, "headers.Content-Type"),
        ({"attachments": [{"name": "a"}]}, "attachments[0]"),
        ({"attachments": [{"name": "a", "content": "", "content_base64": ""}]}, "attachments[0]"),
        ({"attachments": [{"name": "a", "content_base64": "%"}]}, "attachments[0].content_base64"),
        ({"attachments": [{"name": "../a", "content": "x"}]}, "attachments[0].name"),
        ({"attachments": [{"name": "a\r\nX: y", "content": "x"}]}, "attachments[0].name"),
        ({"attachments": [{"name": "a", "content": "x", "type": "a/b\r\nX: y"}]}, "attachments"),
    ],
)
async def test_what_cannot_be_a_mail_is_refused_by_its_field(
    mailbox: Mailbox, send: Send, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ActionRefused) as caught:
        await send(**changes)
    assert caught.value.failure == "invalid_input"
    assert named in caught.value.message
    assert mailbox.envelopes == []


async def test_lone_surrogates_do_not_stop_a_mail(mailbox: Mailbox, send: Send) -> None:
    await send(subject="a\ud800b", text="c\udfffd", headers={"X-A": "e\ud800"})
    assert mailbox.message()["Subject"] == "a?b"
    assert mailbox.message().get_content().strip() == "c?d"


async def test_a_mail_that_is_too_large_is_not_sent(
    mailbox: Mailbox, port: int, tmp_path: Path
) -> None:
    connections = TestContract().connections(tmp_path, plain(port, max_size=2000))
    with pytest.raises(ActionRefused, match="max_size") as caught:
        await connections.run("email.send", {**MAIL, "text": "x" * 3000}, GivenCall(tmp_path))
    assert caught.value.failure == "too_large"
    assert mailbox.envelopes == []


async def test_a_mail_that_the_server_finds_too_large_is_refused(tmp_path: Path) -> None:
    async with smtp_server(Mailbox(), data_size_limit=1000) as port:
        connections = TestContract().connections(tmp_path, plain(port))
        with pytest.raises(ActionRefused) as caught:
            await connections.run("email.send", {**MAIL, "text": "x" * 3000}, GivenCall(tmp_path))
    assert caught.value.failure == "smtp_rejected"


async def test_recipients_that_are_refused_are_said_and_the_others_get_it(
    mailbox: Mailbox, send: Send
) -> None:
    mailbox.refuse = {"no@example.com": "550 5.1.1 nobody", "full@example.com": "452 full"}
    result = await send(to=["ada@example.com", "no@example.com"], cc="full@example.com")
    assert result["accepted"] == ["ada@example.com"]
    assert result["refused"] == [
        {"address": "no@example.com", "code": 550, "message": "5.1.1 nobody"},
        {"address": "full@example.com", "code": 452, "message": "full"},
    ]
    assert mailbox.envelopes[0].rcpt_tos == ["ada@example.com"]


async def test_all_recipients_refused_but_one_for_now_is_tried_again(
    mailbox: Mailbox, send: Send
) -> None:
    mailbox.refuse = {"no@example.com": "550 nobody", "full@example.com": "452 full"}
    with pytest.raises(ActionFailed) as caught:
        await send(to=["no@example.com", "full@example.com"])
    assert (caught.value.failure, caught.value.retryable) == ("smtp_temporary", True)
    assert mailbox.envelopes == []


async def test_a_server_that_forgets_to_say_goodbye_has_taken_the_mail(tmp_path: Path) -> None:
    async with hostile_server(script(*BAD_DATA, b"250 taken\r\n")) as port:
        connections = TestContract().connections(tmp_path, plain(port))
        result = await connections.run("email.send", MAIL, GivenCall(tmp_path))
    assert result["accepted"] == ["ada@example.com"]


async def test_a_cancelled_call_leaves_no_connection(tmp_path: Path) -> None:
    gone = asyncio.Event()
    there = asyncio.Event()

    async def dialogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.set()
        await reader.read()
        gone.set()

    async with hostile_server(dialogue) as port:
        connections = TestContract().connections(tmp_path, plain(port))
        task = asyncio.ensure_future(connections.run("email.send", MAIL, GivenCall(tmp_path)))
        await there.wait()
        await asyncio.sleep(0.02)  # until the client waits for the greeting
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


async def test_without_a_sender_only_a_local_server_is_used(
    mailbox: Mailbox, port: int, tmp_path: Path
) -> None:
    contract = TestContract()
    await contract.connections(tmp_path, plain(port)).run("email.send", MAIL, GivenCall(tmp_path))
    assert mailbox.envelopes[0].mail_from == "hub@localhost"
    settings = {"host": "smtp.example.com"}
    with pytest.raises(ActionRefused, match=r"email\.send: from"):
        await contract.connections(tmp_path, settings).run("email.send", MAIL, GivenCall(tmp_path))


# --- TLS and login


@pytest.fixture(scope="module")
def certificate_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def certificate(certificate_files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_files)
    return context


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_mail_goes_encrypted_and_logged_in(
    tmp_path: Path, certificate: ssl.SSLContext, certificate_files: tuple[Path, Path], tls: str
) -> None:
    mailbox = Mailbox()
    options: dict[str, Any] = {"authenticator": mailbox.authenticate}
    if tls == "starttls":
        options |= {"tls_context": certificate, "require_starttls": True, "auth_required": True}
    else:
        options |= {"auth_require_tls": False}
    async with smtp_server(mailbox, certificate if tls == "tls" else None, **options) as port:
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "tls": tls,
            "ca_file": str(certificate_files[0]),
            "username": "hub",
            "password": "${{ env.PLANTED }}",
        }
        connections = TestContract().connections(tmp_path, settings)
        await connections.run("email.send", MAIL, GivenCall(tmp_path))
    assert mailbox.logins == [("hub", "pl4nted/secret+value")]
    assert mailbox.message()["Subject"] == "Hello"


async def test_a_wrong_login_is_refused_without_its_password(
    tmp_path: Path, certificate: ssl.SSLContext, certificate_files: tuple[Path, Path]
) -> None:
    mailbox = Mailbox()
    async with smtp_server(
        mailbox, tls_context=certificate, authenticator=mailbox.authenticate
    ) as port:
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "ca_file": str(certificate_files[0]),
            "username": "eve",
            "password": "${{ env.PLANTED }}",
        }
        connections = TestContract().connections(tmp_path, settings)
        with pytest.raises(ActionRefused, match="check username and password") as caught:
            await connections.run("email.send", MAIL, GivenCall(tmp_path))
    assert caught.value.failure == "smtp_auth"
