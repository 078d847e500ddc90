"""The audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_log",
        sa.Column("seq", serial, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("how", sa.Text, nullable=False),
        sa.Column("credential", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("before", sa.LargeBinary),
        sa.Column("after", sa.LargeBinary),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_log_by_who", "audit_log", [sa.text("substr(who, 1, 256)"), "seq"])
    op.create_index("audit_log_by_object", "audit_log", [sa.text("substr(object, 1, 256)"), "seq"])
    op.create_index("audit_log_by_action", "audit_log", ["action", "seq"])
    op.create_index("audit_log_by_time", "audit_log", ["at", "seq"])


def downgrade() -> None:
    op.drop_table("audit_log")
