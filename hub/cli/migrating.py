"""Many runs moved to another definition, a few at a time, with progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.cli.client import HubClient
from hub.errors import HubError, Unreachable
from hub.structs import learn_structs

__all__ = ["migrate_all", "runs_of", "show_migrations"]

_AT_ONCE = 8
_WORDS = {
    "migrated": "moved",
    "would_migrate": "would be moved",
    "already": "there already",
    "refused": "refused",
}


def runs_of(hub: HubClient, tree: str) -> list[str]:
    """The live runs of a tree, those that are dormant too, the oldest first."""
    found: dict[str, None] = {}
    for status in ("running", "dormant"):
        cursor: str | None = None
        while True:
            page = hub.get("runs", tree=tree, status=status, limit=200, cursor=cursor).data
            found |= dict.fromkeys(item["id"] for item in page["items"])
            cursor = page["next"]
            if cursor is None:
                break
    return [*found][::-1]


def migrate_all(
    hub: HubClient, ids: Sequence[str], *, to: str | None, dry_run: bool, hidden: bool
) -> list[dict[str, Any]]:
    """What became of each run, in the order of the ids. Raises `Unreachable`."""
    from rich.console import Console
    from rich.progress import Progress

    body = {"dry_run": dry_run} | ({} if to is None else {"to": to})

    def migrate(run_id: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = hub.post("runs", run_id, "migrate", body=body).data
        except Unreachable:
            raise
        except HubError as error:
            # It has ended since it was listed, say: that is no reason to leave the others.
            answer = {"id": run_id, "outcome": "refused", "reasons": [error.message]}
        return answer

    screen = Console(stderr=True)
    done = []
    learn_structs()
    with (
        ThreadPoolExecutor(_AT_ONCE) as pool,
        Progress(console=screen, disable=hidden or not screen.is_terminal) as bar,
    ):
        task = bar.add_task("looking" if dry_run else "moving", total=len(ids))
        try:
            for one in pool.map(migrate, ids):
                done.append(one)
                bar.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def show_migrations(done: Sequence[dict[str, Any]]) -> None:
    """A table of what became of each run, and how many there are of each."""
    from hub.cli.screen import console, print_table

    print_table(
        ["RUN", "OUTCOME", "WHAT"],
        ([one["id"], _WORDS[one["outcome"]], _what(one)] for one in done),
        none="no live runs of that tree",
    )
    counts = Counter(_WORDS[one["outcome"]] for one in done)
    if counts:
        said = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        console().print(f"{len(done)} runs: {said}", markup=False, soft_wrap=True)


def _what(one: dict[str, Any]) -> str:
    changes = [
        f"{word}: {', '.join(one[word])}"
        for word in ("skipped", "repeated", "kept", "gone")
        if one.get(word)
    ]
    return "; ".join([*one["reasons"], *changes, *one.get("notes", ())])
