"""Entries, deliveries, owners of leases, definitions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "journal_entries",
        sa.Column("seq", serial, primary_key=True, autoincrement=True),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("id_digest", sa.LargeBinary, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("duplicates", sa.Integer, nullable=False),
        sa.Column("last_duplicate_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "journal_entries_identity", "journal_entries", ["id_digest", "trigger"], unique=True
    )
    op.create_index("journal_entries_by_trigger", "journal_entries", ["trigger", "seq"])
    op.create_index(
        "journal_entries_by_type", "journal_entries", [sa.text("substr(type, 1, 256)"), "seq"]
    )
    op.create_index("journal_entries_by_status", "journal_entries", ["status", "seq"])
    op.create_index("journal_entries_by_time", "journal_entries", ["received_at", "seq"])
    op.create_index(
        "journal_entries_with_duplicates",
        "journal_entries",
        ["seq", "duplicates"],
        sqlite_where=sa.text("duplicates > 0"),
        postgresql_where=sa.text("duplicates > 0"),
    )
    op.create_table(
        "journal_deliveries",
        sa.Column(
            "seq",
            serial,
            sa.ForeignKey("journal_entries.seq", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tree", sa.Text, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "journal_deliveries_by_key", "journal_deliveries", [sa.text("substr(key, 1, 256)"), "seq"]
    )
    op.create_table(
        "journal_owners",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "journal_definitions",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("tree", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_journal_definitions_tree", "journal_definitions", ["tree"])


def downgrade() -> None:
    op.drop_table("journal_definitions")
    op.drop_table("journal_owners")
    op.drop_table("journal_deliveries")
    op.drop_table("journal_entries")
