from __future__ import annotations

import base64
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from hub.errors import Gone, MissingSecret, NotFound
from hub.links import ButtonClaims, CallbackClaims, Links, derive_key, load_or_create_secret

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
KEY = derive_key("a secret of the hub", "callback")
OTHER = derive_key("another hub's secret", "callback")
CLAIMS = CallbackClaims(
    run_id="user-onboarding/u1",
    first_run_id="0198",
    subscription="verified",
    expires_at=NOW + timedelta(days=7),
    token_id="t1",
    use="once",
    label="Verify your address",
)


def links(*keys: bytes) -> Links:
    return Links(keys or [KEY], "https://hub.example.com/")


def token_of(url: str) -> str:
    base, _, token = url.rpartition("/")
    assert base == "https://hub.example.com/callbacks"
    return token


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def payload(**changes: Any) -> Any:
    return decode(token_of(links().sign(CLAIMS, NOW)).split(".")[1]) | changes


def test_a_link_comes_back_as_its_claims() -> None:
    assert links().verify(token_of(links().sign(CLAIMS, NOW)), NOW) == CLAIMS


def test_claims_without_the_optional_ones_come_back() -> None:
    plain = CallbackClaims(
        run_id="t/k",
        subscription="s",
        expires_at=NOW + timedelta(hours=1),
        token_id="t2",
        use="many",
    )
    assert links().verify(token_of(links().sign(plain, NOW)), NOW) == plain


def test_a_token_states_its_audience_and_times() -> None:
    assert payload()["aud"] == "hub/callback"
    assert payload()["iat"] == NOW.timestamp()
    assert payload()["exp"] == CLAIMS.expires_at.timestamp()


def test_the_same_claims_sign_to_the_same_link() -> None:
    assert links().sign(CLAIMS, NOW) == links().sign(CLAIMS, NOW)


def test_an_expired_link_says_when_it_expired() -> None:
    token = token_of(links().sign(CLAIMS, NOW))
    links().verify(token, CLAIMS.expires_at - timedelta(seconds=1))
    with pytest.raises(Gone, match="2026-05-08 at 12:00 UTC"):
        links().verify(token, CLAIMS.expires_at)


def test_an_old_key_still_verifies_and_the_first_one_signs() -> None:
    old = token_of(links(OTHER).sign(CLAIMS, NOW))
    rotated = links(KEY, OTHER)
    assert rotated.verify(old, NOW) == CLAIMS
    assert links(KEY).verify(token_of(rotated.sign(CLAIMS, NOW)), NOW) == CLAIMS
    with pytest.raises(NotFound):
        links(KEY).verify(old, NOW)


def _unsigned(header: dict[str, str]) -> str:
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(payload()).encode())}."


def _other_algorithm() -> str:
    return jws.serialize_compact(
        {"alg": "HS512"}, json.dumps(payload()), OctKey.import_key(KEY), ["HS512"]
    )


def _public_key_algorithm() -> str:
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": key.as_dict(private=False)}
    return jws.serialize_compact(header, json.dumps(payload()), key, ["RS256"])


def _signed(document: object) -> str:
    return jws.serialize_compact(
        {"alg": "HS256"}, json.dumps(document), OctKey.import_key(KEY), ["HS256"]
    )


def _swapped() -> str:
    head, _, signature = token_of(links().sign(CLAIMS, NOW)).split(".")
    return f"{head}.{encode(json.dumps(payload(sub='other/u2')).encode())}.{signature}"


FORGED = {
    "no algorithm": lambda: _unsigned({"alg": "none"}),
    "no algorithm, spelled otherwise": lambda: _unsigned({"alg": "nOnE"}),
    "no header": lambda: _unsigned({}),
    "another algorithm with the true key": _other_algorithm,
    "a public key it brings along": _public_key_algorithm,
    "another key": lambda: token_of(links(OTHER).sign(CLAIMS, NOW)),
    "another purpose": lambda: token_of(
        links(derive_key("a secret of the hub", "session")).sign(CLAIMS, NOW)
    ),
    "swapped claims": _swapped,
    "another audience": lambda: _signed(payload(aud="hub/session")),
    "no audience": lambda: _signed({k: v for k, v in payload().items() if k != "aud"}),
    "no expiry": lambda: _signed({k: v for k, v in payload().items() if k != "exp"}),
    "an expiry that is no time": lambda: _signed(payload(exp="tomorrow")),
    "a use of its own": lambda: _signed(payload(use="always")),
    "no object": lambda: _signed(["x"]),
    "nothing": lambda: "",
    "dots": lambda: "..",
    "a fourth part": lambda: token_of(links().sign(CLAIMS, NOW)) + ".x",
    "no ASCII": lambda: "é.é.é",
    "far too long": lambda: "a" * 100_000,
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_a_forged_link_is_not_valid_and_the_answer_never_says_why(make: Any) -> None:
    with pytest.raises(NotFound) as caught:
        links().verify(make(), NOW)
    assert caught.value.message == "This link is not valid."
    assert caught.value.status == 404


def test_an_expired_forged_link_does_not_say_that_it_expired() -> None:
    stale = token_of(links(OTHER).sign(CLAIMS, NOW))
    with pytest.raises(NotFound):
        links().verify(stale, NOW + timedelta(days=365))


def test_a_truncated_link_is_not_valid_wherever_it_is_cut() -> None:
    token = token_of(links().sign(CLAIMS, NOW))
    for length in range(len(token)):
        with pytest.raises(NotFound):
            links().verify(token[:length], NOW)


@given(st.text(max_size=300))
def test_no_text_breaks_the_verifier(text: str) -> None:
    with pytest.raises(NotFound):
        links().verify(text, NOW)


def test_links_refuse_to_exist_without_a_proper_key() -> None:
    with pytest.raises(ValueError):
        Links([], "https://hub.example.com")
    with pytest.raises(ValueError):
        Links([b"short"], "https://hub.example.com")


def test_each_purpose_has_its_own_key() -> None:
    secret = "one secret for them all"
    assert len(derive_key(secret, "callback")) == 32
    assert derive_key(secret, "callback") == derive_key(secret, "callback")
    assert derive_key(secret, "callback") != derive_key(secret, "session")
    assert derive_key(secret, "callback") != derive_key(secret + "!", "callback")


def test_a_secret_too_short_to_be_one_is_refused() -> None:
    with pytest.raises(MissingSecret, match="HUB_SECRET_KEY") as caught:
        derive_key("hunter2", "callback")
    assert "hunter2" not in caught.value.message


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    state = tmp_path / "deep" / ".hub"
    secret = load_or_create_secret(state)
    assert len(secret) >= 32
    assert load_or_create_secret(state) == secret
    assert [path.name for path in state.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((state / "secret.key").stat().st_mode) == 0o600


def test_the_secret_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create_secret(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_a_secret_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    secret = load_or_create_secret(tmp_path)
    (tmp_path / "secret.key").chmod(0o644)
    assert load_or_create_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: load_or_create_secret(tmp_path), range(64)))
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_secret_file_is_said_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("\n")
    with pytest.raises(MissingSecret, match="delete it"):
        load_or_create_secret(tmp_path)


def test_the_token_of_buttons_stands_for_nothing_else() -> None:
    claims = ButtonClaims(run_id="t/1", path="do[0]", approval="a", expires_at=NOW)
    before = NOW - timedelta(hours=1)
    token = links().sign_buttons(claims, before)
    assert links(OTHER, KEY).verify_buttons(token, before) == claims
    with pytest.raises(Gone):
        links().verify_buttons(token, NOW)
    for other in (links().verify, links().verify_decision, links(OTHER).verify_buttons):
        with pytest.raises(NotFound):
            other(token, before)
    with pytest.raises(NotFound):
        links().verify_buttons(token_of(links().sign(CLAIMS, NOW)), NOW)
