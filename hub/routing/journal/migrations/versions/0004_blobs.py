"""Large results, for workers that share no folder."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "journal_blobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
    )
    op.create_index("journal_blobs_by_use", "journal_blobs", ["used_at"])


def downgrade() -> None:
    op.drop_table("journal_blobs")
