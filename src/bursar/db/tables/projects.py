"""Teams, projects, what limits a member over all the keys he made, and what was told of budgets."""

import sqlalchemy as sa

from bursar.db.tables.columns import json, metadata, moment, references, text, uuid

team = sa.Table(
    "team",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    text("name"),
    json("tags", server_default="{}"),
    json("limits", server_default="{}"),
    moment("created_at"),
    moment("archived_at", nullable=True),
    sa.UniqueConstraint("organisation_id", "id", name="team_organisation_key"),
    sa.Index(
        "team_name_key",
        "organisation_id",
        "name",
        unique=True,
        postgresql_where=sa.text("archived_at IS NULL"),
    ),
)

project = sa.Table(
    "project",
    metadata,
    uuid("id", primary_key=True),
    uuid("organisation_id", references("organisation.id")),
    uuid("team_id"),
    text("name"),
    json("tags", server_default="{}"),
    json("limits", server_default="{}"),
    moment("created_at"),
    moment("archived_at", nullable=True),
    sa.ForeignKeyConstraint(
        ["organisation_id", "team_id"], ["team.organisation_id", "team.id"], name="project_team_fkey"
    ),
    sa.UniqueConstraint("organisation_id", "id", name="project_organisation_key"),
    sa.Index(
        "project_name_key",
        "organisation_id",
        "name",
        unique=True,
        postgresql_where=sa.text("archived_at IS NULL"),
    ),
    sa.Index("project_team_id_idx", "organisation_id", "team_id"),
)

member_limit = sa.Table(
    "member_limit",
    metadata,
    uuid("organisation_id", references("organisation.id"), primary_key=True),
    uuid("member_id", references("app_user.id"), primary_key=True),
    json("limits", server_default="{}"),
    sa.Index("member_limit_member_id_idx", "member_id"),
)

budget_notice = sa.Table(
    "budget_notice",
    metadata,
    uuid("budget_id", references("budget.id"), primary_key=True),
    moment("period_start", primary_key=True),
    sa.Column("percent", sa.SmallInteger, primary_key=True, autoincrement=False),
    uuid("organisation_id", references("organisation.id")),
    moment("told_at"),
    sa.Index("budget_notice_organisation_id_idx", "organisation_id"),
)
