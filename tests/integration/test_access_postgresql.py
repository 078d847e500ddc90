"""People, tokens, sessions and the audit log in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from hub.access import Access
from hub.access.passwords import Passwords
from hub.audit import Actor
from hub.errors import Conflict, Unauthorized
from hub.routing.journal import Journal
from hub.sign_in import SignInSettings
from tests.postgresql import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]

NAME, PASSWORD = "ada@example.com", "correct horse battery"


async def test_one_person_from_their_first_day_to_their_last(postgresql_url: str) -> None:
    journal = await Journal.open(postgresql_url)
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    access = Access(journal, SignInSettings(), passwords=passwords)
    hashed = await passwords.hash(PASSWORD)
    await access.people.create(NAME, hashed, ["viewer"])
    with pytest.raises(Conflict):
        await access.people.create(NAME, hashed, ["admin"])
    given = await access.sign_in(NAME, PASSWORD, address="::1", instead_of=None)
    caller = await access.by_session(given.secret, None)
    assert caller is not None
    assert caller.roles == {"viewer"}
    token = await access.tokens.create(
        "laptop", ["viewer"], created_by=NAME, owner=NAME, expires_in=timedelta(days=1)
    )
    assert (await access.by_token(token.token, None)).owner == NAME
    assert await access.is_set_up()
    begun = await access.sign_ins.begin("/runs")
    assert (await access.sign_ins.take(begun.state, begun.browser)).next == "/runs"
    with pytest.raises(Unauthorized):
        await access.sign_ins.take(begun.state, begun.browser)
    await access.people.remove(NAME)
    assert await access.by_session(given.secret, None) is None
    with pytest.raises(Unauthorized):
        await access.by_token(token.token, None)
    async with access.audit.change(Actor(who="a\0b", how="cli"), "run.cancel", "t/\0"):
        pass
    (entry,) = (await access.audit.list(who="a\0b", object="t/\0")).items
    assert entry.outcome == "done"
    await journal.prune(entry.at + timedelta(days=500))
    assert (await access.audit.list()).items == []
    await journal.close()
