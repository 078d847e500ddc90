from __future__ import annotations

from datetime import timedelta

import pytest

from hub.errors import BadSignature, InvalidDefinition, RateLimited
from tests.contracts.trigger import NOW
from tests.unit.test_webhook import TestHmac
from triggers.webhook import Settings, Webhook
from triggers.webhook.rate import Rate, TokenBucket, parse_rate

SECOND = timedelta(seconds=1)
case = TestHmac()


@pytest.mark.parametrize(
    ("text", "count", "per"),
    [
        ("100/s", 100, SECOND),
        (" 5 per hour ", 5, timedelta(hours=1)),
        ("600/10m", 600, timedelta(minutes=10)),
        ("1/1h30m", 1, timedelta(minutes=90)),
        ("3 / 1 day", 3, timedelta(days=1)),
    ],
)
def test_rates(text: str, count: int, per: timedelta) -> None:
    assert parse_rate(text) == Rate(count=count, per=per)


@pytest.mark.parametrize(
    "text", ["", "100", "/s", "0/s", "-1/s", "1.5/s", "10/", "10/fortnight", "10/0s", "1/2d", "s/1"]
)
def test_what_is_no_rate(text: str) -> None:
    assert parse_rate(text) is None
    with pytest.raises(InvalidDefinition) as caught:
        Webhook("app", Settings(secret="s", rate_limit=text))
    assert [fault.path for fault in caught.value.diagnostics] == ["rate_limit"]


def test_a_burst_then_a_steady_flow() -> None:
    bucket = TokenBucket(Rate(count=4, per=2 * SECOND))
    for _ in range(4):
        bucket.take(NOW)
    with pytest.raises(RateLimited) as caught:
        bucket.take(NOW)
    assert caught.value.retry_after == 1
    for number in range(1, 10):
        at = NOW + number * SECOND / 2
        bucket.take(at)
        with pytest.raises(RateLimited):
            bucket.take(at)


def test_it_says_how_long_to_wait() -> None:
    bucket = TokenBucket(Rate(count=2, per=timedelta(minutes=10)))
    bucket.take(NOW)
    bucket.take(NOW)
    with pytest.raises(RateLimited) as caught:
        bucket.take(NOW + 100 * SECOND)
    assert caught.value.retry_after == 200
    bucket.take(NOW + 300 * SECOND)


def test_rest_does_not_add_up_beyond_a_burst() -> None:
    bucket = TokenBucket(Rate(count=2, per=SECOND))
    bucket.take(NOW)
    later = NOW + timedelta(days=30)
    bucket.take(later)
    bucket.take(later)
    with pytest.raises(RateLimited):
        bucket.take(later)


def test_a_clock_that_is_set_back_gives_and_takes_nothing() -> None:
    bucket = TokenBucket(Rate(count=2, per=SECOND))
    bucket.take(NOW)
    bucket.take(NOW - timedelta(days=1))
    with pytest.raises(RateLimited):
        bucket.take(NOW - timedelta(days=2))
    bucket.take(NOW - timedelta(days=2) + SECOND)


async def test_forged_requests_use_up_nothing() -> None:
    webhook = Webhook("app", Settings(secret="s", rate_limit="2/h"))
    body = case.body()
    forged, genuine = case.headers(body, "x", NOW), case.headers(body, "s", NOW)
    for _ in range(5):
        with pytest.raises(BadSignature):
            await case.receive(webhook, body, forged)
    for _ in range(2):
        assert await case.receive(webhook, body, genuine)
    with pytest.raises(RateLimited):
        await case.receive(webhook, body, genuine)
