"""From the journal to runs once more, with the journal in PostgreSQL: what goes through its paths.

These are the tests of SQLite's journal, collected here again; processes that are killed over both are
in the kill laboratory (`python -m benchmarks.faults`), and the contract that both databases keep is
in `tests/contracts/journal.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import tests.parts
from hub.temporal.dev_server import DevServer
from tests.integration import test_delivery
from tests.integration.test_correlation import (
    test_a_definition_is_dropped_when_no_run_uses_it,
    test_a_delivery_told_again_after_a_continue_as_new_counts_once,
    test_a_filter_that_fails_is_an_outcome_and_blocks_nobody,
    test_a_link_of_an_earlier_run_does_not_reach_a_later_one,
    test_a_start_event_that_a_closed_run_had_starts_no_other,
    test_a_subscription_that_was_changed_still_finds_the_runs_of_before,
    test_other_keys_go_on_while_one_run_cannot_be_reached,
    test_what_an_earlier_run_had_does_not_reach_a_later_one,
)
from tests.integration.test_delivery import (
    project,
    test_a_crash_between_the_start_and_its_mark,
    test_a_webhook_sent_twice_is_one_run_and_one_mail,
    test_accepted_before_the_crash_is_delivered_after_it,
    test_smtp_down_is_tried_again_and_shown,
    test_the_story,
    test_verified_before_the_run_waits_for_it,
    test_verified_for_nobody_is_unmatched,
)
from tests.integration.test_early import (
    test_a_used_event_makes_no_dormant_run_when_it_is_told_again,
    test_an_early_event_told_twice_is_kept_once,
    test_events_before_the_run_wait_for_it_in_order,
)
from tests.integration.test_flow import (
    test_a_start_told_again_counts_once_also_after_its_gate_has_ended,
)
from tests.integration.test_start_policies import (
    test_a_parallel_start_told_twice_is_one_run,
    test_a_restart_told_twice_is_one_restart,
    test_parallel_runs_are_all_reached_by_their_key,
    test_starts_that_race_make_one_run,
)
from tests.postgresql import PostgresqlServer, postgresql_server, postgresql_url
from tests.unit.api_home import Home, open_home

__all__ = [
    "postgresql_server",
    "postgresql_url",
    "project",
    "test_a_crash_between_the_start_and_its_mark",
    "test_a_definition_is_dropped_when_no_run_uses_it",
    "test_a_delivery_told_again_after_a_continue_as_new_counts_once",
    "test_a_filter_that_fails_is_an_outcome_and_blocks_nobody",
    "test_a_link_of_an_earlier_run_does_not_reach_a_later_one",
    "test_a_parallel_start_told_twice_is_one_run",
    "test_a_restart_told_twice_is_one_restart",
    "test_a_start_event_that_a_closed_run_had_starts_no_other",
    "test_a_start_told_again_counts_once_also_after_its_gate_has_ended",
    "test_a_subscription_that_was_changed_still_finds_the_runs_of_before",
    "test_a_used_event_makes_no_dormant_run_when_it_is_told_again",
    "test_a_webhook_sent_twice_is_one_run_and_one_mail",
    "test_accepted_before_the_crash_is_delivered_after_it",
    "test_an_early_event_told_twice_is_kept_once",
    "test_events_before_the_run_wait_for_it_in_order",
    "test_other_keys_go_on_while_one_run_cannot_be_reached",
    "test_parallel_runs_are_all_reached_by_their_key",
    "test_smtp_down_is_tried_again_and_shown",
    "test_starts_that_race_make_one_run",
    "test_the_story",
    "test_verified_before_the_run_waits_for_it",
    "test_verified_for_nobody_is_unmatched",
    "test_what_an_earlier_run_had_does_not_reach_a_later_one",
]


_LEFT_OUT = {
    "test_temporal_is_killed_while_webhooks_keep_coming",
    "test_a_journal_of_yesterday_repeats_nothing",
}
"""The kill laboratory does the first on both; the second is about a journal that is a file."""


@pytest.fixture(autouse=True)
async def journals(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.parts, "JOURNAL_URL", postgresql_url)


@pytest.fixture
async def home(tmp_path: Path, postgresql_url: str) -> AsyncIterator[Home]:
    async with open_home(tmp_path, journal_url=postgresql_url) as home:
        yield home


async def test_what_goes_through_the_journal_is_collected_here_again(
    project: Path, server: DevServer, postgresql_server: PostgresqlServer, postgresql_url: str
) -> None:
    """These tests do run on PostgreSQL, and the tests of delivery are all among them."""
    async with tests.parts.hub_of(project, server.address, working=False) as hub:
        await hub.settled(await hub.send("user.email_verified", "nobody", id="evt-1"))
    assert not (project / "journal.db").exists()
    missing = [
        name
        for name in dir(test_delivery)
        if name.startswith("test_") and name not in {*__all__, *_LEFT_OUT}
    ]
    assert missing == []


async def test_while_postgresql_is_away_senders_are_asked_to_come_again(
    home: Home, postgresql_server: PostgresqlServer, postgresql_url: str
) -> None:
    """Nothing is half kept: each batch that was refused is taken as a whole when it comes again."""
    batches = [
        [{"specversion": "1.0", "id": f"{n}-{i}", "source": "/t", "type": "t"} for i in range(3)]
        for n in range(12)
    ]
    content = {"content-type": "application/cloudevents-batch+json"}

    async def send(number: int) -> int:
        answer = await home.client.post(
            "/api/events", content=msgspec.json.encode(batches[number]), headers=content
        )
        if answer.status_code == 503:
            assert answer.json()["code"] == "busy"
            assert int(answer.headers["retry-after"]) > 0
        return answer.status_code

    assert await send(0) == 202
    # Some are under way at the moment at which it goes.
    under_way = [asyncio.create_task(send(n)) for n in range(1, 6)]
    async with postgresql_server.away(postgresql_url):
        answers = dict(enumerate(await asyncio.gather(*under_way), start=1))
        answers |= {n: await send(n) for n in range(6, 12)}
        assert {answers[n] for n in range(6, 12)} == {503}
        assert set(answers.values()) <= {202, 503}
    for number in [n for n, status in answers.items() if status == 503]:
        while await send(number) == 503:
            await asyncio.sleep(0.1)
    entries = await home.journaled()
    assert sorted(entry.id for entry in entries) == sorted(
        event["id"] for batch in batches for event in batch
    )
    refused = {n for n, status in answers.items() if status == 503}
    for entry in entries:
        # Of an answer that was lost with the connection nobody knows; whatever was kept, was whole.
        number = int(entry.id.partition("-")[0])
        alike = {one.duplicates > 0 for one in entries if one.id.startswith(f"{number}-")}
        assert len(alike) == 1
        assert number in refused or not entry.duplicates
