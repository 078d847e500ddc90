from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import jwt as pyjwt
import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from hub import jwks
from hub.errors import BadSignature, Busy, InvalidDefinition
from hub.trigger import HttpTrigger
from tests.contracts.trigger import NOW, HttpTriggerContract
from tests.unit.test_webhook_providers.issuer import Issuer, open_issuer
from triggers.webhook import JwtSettings, Webhook

ISSUER = "https://issuer.example.com/"
AUDIENCE = "https://hub.example.com/hooks/app"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def public_rsa(name: str, **fields: Any) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(rsa_key(name).public_key(), as_dict=True)
    return (
        {"kid": name, "use": "sig", "alg": "RS256"}
        | {k: v for k, v in jwk.items() if k != "key_ops"}
        | fields
    )


def key_set(*names: str) -> bytes:
    return msgspec.json.encode({"keys": [public_rsa(name) for name in names]})


def token(name: str, at: datetime = NOW, *, key: Any = None, **changes: Any) -> str:
    """A token as an issuer makes it, by PyJWT. None takes a claim or a header away."""
    head = {"kid": name} | changes.pop("head", {})
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "caller",
        "iat": int(at.timestamp()),
        "exp": int((at + timedelta(minutes=5)).timestamp()),
    } | changes
    return pyjwt.encode(
        {claim: value for claim, value in claims.items() if value is not None},
        rsa_key(name) if key is None else key,
        algorithm=head.pop("alg", "RS256"),
        headers={name: value for name, value in head.items() if value is not None},
    )


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as issuer:
        yield issuer


def webhook(url: str, **settings: Any) -> Webhook:
    return Webhook(
        "app",
        JwtSettings(
            **({"provider": "jwt", "jwks": url, "issuer": ISSUER, "audience": AUDIENCE} | settings)
        ),
    )


class TestJwt(HttpTriggerContract):
    """Tokens are made by PyJWT, another library than the one that reads them."""

    covers_body = False
    signs_time = True
    compares = False
    clock_may_be_off = timedelta(seconds=50)
    unsigned = frozenset({"content-type"})

    @pytest.fixture(autouse=True)
    async def _issuer(self) -> AsyncIterator[None]:
        async with open_issuer() as self.issuer:
            yield

    def trigger(self, *secrets: str) -> HttpTrigger:
        return webhook(self.issuer.publish("/keys", key_set(*secrets)))

    def headers(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        return {"authorization": f"Bearer {token(secret, at)}"}

    def proof(self) -> list[str]:
        return ["authorization"]


case = TestJwt()


async def accepts(trigger: HttpTrigger, text: str, at: datetime = NOW) -> bool:
    try:
        await trigger.receive(
            case.request(case.body(), {"authorization": f"Bearer {text}"}, received_at=at)
        )
    except BadSignature:
        return False
    return True


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example.com/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "https://other.example.com"},
        {"aud": None},
        {"aud": []},
        {"aud": AUDIENCE + "/"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": True},
        {"nbf": int(NOW.timestamp()) + 61},
        {"iat": int(NOW.timestamp()) + 61},
        {"head": {"kid": "unknown"}},
        {"head": {"crit": ["x"], "x": 1}},
    ],
)
async def test_claims_that_do_not_count(issuer: Issuer, changes: dict[str, Any]) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    assert await accepts(trigger, token("a"))
    try:
        changed = token("a", **changes)
    except TypeError:  # PyJWT does not make tokens as bad as that
        changed = _by_hand({"alg": "RS256", "kid": "a"}, {"iss": ISSUER, "aud": AUDIENCE} | changes)
    assert not await accepts(trigger, changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["https://other.example.com", AUDIENCE]},
        {"exp": int(NOW.timestamp()) - 50},
        {"head": {"typ": "at+jwt"}},
        {"head": {"kid": None}},
        {"head": {"own": "header"}},
        {"extra": {"a": [1]}},
    ],
)
async def test_claims_that_count(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert await accepts(webhook(issuer.publish("/keys", key_set("a"))), token("a", **changes))


async def test_one_of_several_audiences(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")), audience=["other", AUDIENCE])
    assert await accepts(trigger, token("a"))
    assert not await accepts(trigger, token("a", aud="a third"))


@pytest.mark.parametrize("algorithm", ["PS256", "RS512", "none", "HS256", "RS", ""])
async def test_an_algorithm_that_is_not_pinned(issuer: Issuer, algorithm: str) -> None:
    trigger = webhook(issuer.publish("/keys", msgspec.json.encode({"keys": [_without_alg("a")]})))
    head = {"alg": algorithm, "kid": "a"}
    claims = msgspec.json.decode(_segments(token("a"))[1])
    if algorithm in ("PS256", "RS512"):
        text = token("a", head={"alg": algorithm})
    elif algorithm == "HS256":
        # The classic: the public key taken for a shared secret.
        secret = msgspec.json.encode(_without_alg("a"))
        unsigned = f"{_b64(msgspec.json.encode(head))}.{_b64(msgspec.json.encode(claims))}"
        text = f"{unsigned}.{_b64(hmac.digest(secret, unsigned.encode(), 'sha256'))}"
    else:
        text = _by_hand(head, claims)
    assert not await accepts(trigger, text)
    assert issuer.asked == []


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256", "RS384"])
async def test_other_algorithms(issuer: Issuer, algorithm: str) -> None:
    key: Any
    if algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        key, public = rsa_key("a"), _without_alg("a")
    keys = {"keys": [public | {"kid": "k"}]}
    url = issuer.publish("/keys", msgspec.json.encode(keys))
    text = token("k", key=key, head={"alg": algorithm})
    assert await accepts(webhook(url, algorithms=[algorithm]), text)
    assert not await accepts(webhook(url), text)


async def test_a_key_that_is_for_something_else(issuer: Issuer) -> None:
    for fields in ({"use": "enc"}, {"alg": "PS256"}, {"kid": "b"}):
        keys = msgspec.json.encode({"keys": [public_rsa("a", **fields)]})
        assert not await accepts(webhook(issuer.publish("/keys", keys)), token("a"))


async def test_keys_that_are_not_understood_do_not_spoil_the_others(issuer: Issuer) -> None:
    odd: list[Any] = [
        1,
        {},
        {"kty": "AKP", "kid": "a"},
        {"kty": "RSA", "kid": "a"},
        {"kty": "RSA", "kid": "a", "n": "!", "e": 1},
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        {"kty": "EC", "kid": "a", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "OKP", "kid": "a", "crv": "X25519", "x": "AA"},
    ]
    keys = msgspec.json.encode({"keys": [*odd, public_rsa("a")]})
    assert await accepts(webhook(issuer.publish("/keys", keys)), token("a"))


@pytest.mark.parametrize(
    "text", ["x", "a.b", "a.b.c", "..", "....", "a.b.c.d.e", "e30.e30.e30", "W10.e30.e30", "é.é.é"]
)
async def test_what_is_no_token_costs_no_fetch(issuer: Issuer, text: str) -> None:
    assert not await accepts(webhook(issuer.publish("/keys", key_set("a"))), text)
    assert issuer.asked == []


async def test_another_spelling_of_the_same_token_is_refused(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    text = token("a")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last character of 256 bytes carries two bits, so sixteen of them mean the same.
    other = alphabet[alphabet.index(text[-1]) ^ 1]
    assert _segments(text[:-1] + other) == _segments(text)
    assert await accepts(trigger, text)
    assert not await accepts(trigger, text[:-1] + other)
    assert not await accepts(trigger, text + "==")


async def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    assert all(await asyncio.gather(*(accepts(trigger, token("a")) for _ in range(20))))
    assert issuer.asked == ["/keys"]


async def test_bad_tokens_do_not_make_the_hub_ask_again_and_again(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    assert await accepts(trigger, token("a"))
    for number in range(50):
        assert not await accepts(trigger, token("b", head={"kid": f"made-up-{number}"}))
    assert len(issuer.asked) == 1
    later = NOW + jwks.PAUSE
    assert not await accepts(trigger, token("b", later), later)
    assert len(issuer.asked) == 2


async def test_a_rotation_is_noticed(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    assert await accepts(trigger, token("a"))
    issuer.publish("/keys", key_set("a", "b"))
    later = NOW + jwks.PAUSE
    assert await accepts(trigger, token("b", later), later)
    assert await accepts(trigger, token("a", later), later)


async def test_a_key_that_was_taken_back_stops_counting(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a", "b")))
    assert await accepts(trigger, token("a"))
    issuer.publish("/keys", key_set("b"))
    later = NOW + jwks.LIFETIME
    assert not await accepts(trigger, token("a", later), later)
    assert await accepts(trigger, token("b", later), later)


async def test_an_issuer_that_is_away_is_forgiven_for_a_while(issuer: Issuer) -> None:
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    assert await accepts(trigger, token("a"))
    issuer.publish("/keys", b"", "503 Service Unavailable")
    with structlog.testing.capture_logs() as logs:
        later = NOW + jwks.PATIENCE - timedelta(minutes=1)
        assert await accepts(trigger, token("a", later), later)
        assert logs[0]["log_level"] == "warning"
        too_late = NOW + jwks.PATIENCE
        with pytest.raises(Busy):
            await accepts(trigger, token("a", too_late), too_late)
    issuer.publish("/keys", key_set("a"))
    back = too_late + jwks.PAUSE_AFTER_FAILURE
    assert await accepts(trigger, token("a", back), back)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", "500 Internal Server Error"),
        (b"", "302 Found\r\nlocation: /elsewhere"),
        (b"", "200 OK"),
        (b"<html></html>", "200 OK"),
        (b"[]", "200 OK"),
        (b'{"keys": {}}', "200 OK"),
        (b"[" * 100_000, "200 OK"),
        (b" " * (jwks.MAX_SIZE + 1), "200 OK"),
        (b"\xff", "200 OK"),
    ],
)
async def test_while_there_are_no_keys_the_sender_is_to_come_again(
    issuer: Issuer, content: bytes, status: str
) -> None:
    trigger = webhook(issuer.publish("/keys", content, status))
    with structlog.testing.capture_logs():
        for _ in range(5):
            with pytest.raises(Busy) as caught:
                await accepts(trigger, token("a"))
            assert caught.value.retry_after > 0
    assert issuer.asked == ["/keys"]
    issuer.publish("/keys", key_set("a"))
    later = NOW + jwks.PAUSE_AFTER_FAILURE
    assert await accepts(trigger, token("a", later), later)


async def test_an_issuer_that_does_not_answer_holds_nobody_up(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT", 0.02)
    issuer.hold = asyncio.Event()
    trigger = webhook(issuer.publish("/keys", key_set("a")))
    with structlog.testing.capture_logs(), pytest.raises(Busy):
        await accepts(trigger, token("a"))


async def test_nobody_listens(issuer: Issuer) -> None:
    trigger = webhook("http://127.0.0.1:1/keys")
    with structlog.testing.capture_logs(), pytest.raises(Busy):
        await accepts(trigger, token("a"))


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"jwks": "http://issuer.example.com/keys"}, "insecure_url", "jwks"),
        ({"jwks": "file:///etc/passwd"}, "insecure_url", "jwks"),
        ({"jwks": ""}, "insecure_url", "jwks"),
        ({"jwks": "https://["}, "insecure_url", "jwks"),
        ({"issuer": ""}, "invalid_value", "issuer"),
        ({"audience": ""}, "invalid_value", "audience"),
        ({"audience": []}, "invalid_value", "audience"),
        ({"audience": ["a", ""]}, "invalid_value", "audience"),
        ({"algorithms": []}, "invalid_value", "algorithms"),
        ({"algorithms": ["RS256", "none"]}, "invalid_value", "algorithms[1]"),
        ({"algorithms": ["HS256"]}, "invalid_value", "algorithms[0]"),
        ({"header": "a b"}, "invalid_value", "header"),
        ({"secret": "s"}, "unused_secret", "secret"),
        ({"tolerance": "x"}, "invalid_duration", "tolerance"),
    ],
)
def test_settings(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        webhook(**({"url": "https://issuer.example.com/keys"} | settings))
    assert [(fault.code, fault.path) for fault in caught.value.diagnostics] == [(code, path)]


def _without_alg(name: str) -> dict[str, Any]:
    return {field: value for field, value in public_rsa(name).items() if field != "alg"}


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _segments(text: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "==") for part in text.split(".")]


def _by_hand(head: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token with these very words; signed by the key "a" where that is what it says."""
    unsigned = f"{_b64(msgspec.json.encode(head))}.{_b64(msgspec.json.encode(claims))}"
    if head["alg"] != "RS256":
        return f"{unsigned}."
    signature = pyjwt.get_algorithm_by_name("RS256").sign(unsigned.encode(), rsa_key("a"))
    return f"{unsigned}.{_b64(signature)}"
