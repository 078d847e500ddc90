from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from hub.temporal.codec import HubCodec, KeyRing
from tests.unit.api_home import Home, open_home

PAGE = "http://127.0.0.1:8233"
CODEC = HubCodec(KeyRing({"k": b"k" * 32}))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"number":4711}')


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path, codec=CODEC, codec_origins=frozenset({PAGE})) as home:
        yield home


def body(*payloads: Payload) -> str:
    return json_format.MessageToJson(Payloads(payloads=payloads))


async def test_what_is_encrypted_is_shown_to_those_who_may(home: Home) -> None:
    (sealed,) = await CODEC.encode([PLAIN])
    answer = await home.client.post("/api/codec/decode", content=body(sealed, PLAIN))
    assert answer.status_code == 200
    assert list(json_format.Parse(answer.content, Payloads()).payloads) == [PLAIN, PLAIN]
    back = await home.client.post("/api/codec/encode", content=body(PLAIN))
    (again,) = json_format.Parse(back.content, Payloads()).payloads
    assert await CODEC.decode([again]) == [PLAIN]


async def test_temporal_s_page_may_ask_and_no_other(home: Home) -> None:
    asked = {"access-control-request-method": "POST"}
    before = await home.client.options("/api/codec/decode", headers={"origin": PAGE, **asked})
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == PAGE
    answer = await home.client.post(
        "/api/codec/decode", content=body(PLAIN), headers={"origin": PAGE}
    )
    assert answer.headers["access-control-allow-origin"] == PAGE
    other = {"origin": "http://evil.example"}
    before = await home.client.options("/api/codec/decode", headers={**other, **asked})
    assert "access-control-allow-origin" not in before.headers
    answer = await home.client.post("/api/codec/decode", content=body(PLAIN), headers=other)
    assert answer.status_code == 403
    # The origin is good for this alone.
    answer = await home.client.post("/api/runs/a/b/cancel", headers={"origin": PAGE})
    assert answer.status_code == 403


@pytest.mark.parametrize("content", [b"", b"{", b'{"payloads": 3}', b"\xff", b'{"other": []}'])
async def test_what_is_no_payload_is_refused(home: Home, content: bytes) -> None:
    answer = await home.client.post("/api/codec/decode", content=content)
    assert answer.status_code == 400
    assert "payloads" in answer.json()["detail"]


async def test_a_missing_key_is_said(home: Home) -> None:
    (foreign,) = await HubCodec(KeyRing({"theirs": b"t" * 32})).encode([PLAIN])
    answer = await home.client.post("/api/codec/decode", content=body(foreign))
    assert answer.status_code == 400
    assert "HUB_ENCRYPTION_KEYS" in answer.json()["detail"]
