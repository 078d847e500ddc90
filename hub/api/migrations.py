"""`POST /api/runs/{id}/migrate`: a live run goes on with another definition of its tree."""

from __future__ import annotations

from typing import Any

from litestar import Request

from hub.api.actors import audited
from hub.api.runs import Migrate
from hub.api.services import Services
from hub.errors import BadRequest, NotFound
from hub.run.migration import Definition, Migration
from hub.tree import Tree, tree_from_document
from hub.tree.needs import needed_groups, needed_trees

__all__ = ["migrating"]


def migrating(services: Services) -> Migrate:
    """Does what a POST to a run's `/migrate` asks: `{"to": hash, "dry_run": bool}`, both optional."""

    async def migrate(
        request: Request[Any, Any, Any], run_id: str, options: dict[str, Any]
    ) -> Migration:
        if services.migrations is None:
            raise NotFound("runs cannot be moved here")
        wanted, dry_run = options.get("to"), options.get("dry_run", False)
        if not isinstance(wanted, str | None) or not isinstance(dry_run, bool):
            raise BadRequest("'to' is a definition's hash, and 'dry_run' is true or false")
        tree = await _definition(services, run_id.partition("/")[0], wanted)
        trees, groups = services.router().trees, services.router().groups
        target = Definition(
            hash=tree.hash,
            document=tree.document,
            trees=needed_trees(tree, trees),
            groups=needed_groups(tree, trees, groups),
        )
        if dry_run:
            return await services.migrations.migrate(run_id, target, dry_run=True)
        # Before any run has it, so that none is ever without its subscriptions.
        await services.journal.keep_definition(tree.hash, tree.name, tree.document)
        async with audited(services, request, "run.migrate", run_id, after={"to": tree.hash}):
            return await services.migrations.migrate(run_id, target, dry_run=False)

    return migrate


async def _definition(services: Services, name: str, wanted: str | None) -> Tree:
    """The definition of that hash, or the project's own. Raises `NotFound`."""
    own = services.router().trees.get(name)
    if own is not None and wanted in (None, own.hash):
        return own
    if wanted is None:
        raise NotFound(f"the project has no tree {name!r}; say which definition by 'to'")
    for kept in await services.journal.definitions(name):
        if kept.hash == wanted:
            return tree_from_document(kept.document)
    raise NotFound(f"there is no definition {wanted!r} of the tree {name!r}")
