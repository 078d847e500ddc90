"""Alembic's entry point: migrates the connection that the journal hands over."""

from alembic import context

from hub.routing.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="journal_version",
)
with context.begin_transaction():
    context.run_migrations()
