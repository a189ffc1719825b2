"""That support saw what an organisation sees."""

import sqlalchemy as sa

from bursar.db.tables.columns import metadata, moment, references, text, uuid

viewing = sa.Table(
    "viewing",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    uuid("user_id", references("app_user.id")),
    uuid("session_id"),
    text("reason"),
    moment("started_at"),
    moment("until"),
    moment("ended_at", nullable=True),
    sa.Index("viewing_organisation_id_idx", "organisation_id", "id"),
    sa.Index("viewing_user_id_idx", "user_id", postgresql_where=sa.text("ended_at IS NULL")),
)
