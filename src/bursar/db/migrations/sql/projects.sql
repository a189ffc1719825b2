-- Teams, their projects, the keys in them; what limits a member over all the keys he made.

-- What is archived stays for its usage and its budgets. tags: {name: text}, for whoever adds up costs.
CREATE TABLE team (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    name text NOT NULL,
    tags jsonb NOT NULL DEFAULT '{}',
    limits jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    CONSTRAINT team_organisation_key UNIQUE (organisation_id, id)
);
CREATE UNIQUE INDEX team_name_key ON team (organisation_id, name) WHERE archived_at IS NULL;

CREATE TABLE project (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    team_id uuid NOT NULL,
    name text NOT NULL,
    tags jsonb NOT NULL DEFAULT '{}',
    limits jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    CONSTRAINT project_organisation_key UNIQUE (organisation_id, id),
    CONSTRAINT project_team_fkey FOREIGN KEY (organisation_id, team_id) REFERENCES team (organisation_id, id)
);
CREATE UNIQUE INDEX project_name_key ON project (organisation_id, name) WHERE archived_at IS NULL;
CREATE INDEX project_team_id_idx ON project (organisation_id, team_id);

-- The composite key makes it impossible that a key is in another organisation's project. NULL: in none.
ALTER TABLE api_key ADD COLUMN project_id uuid;
ALTER TABLE api_key ADD CONSTRAINT api_key_project_fkey FOREIGN KEY (organisation_id, project_id)
    REFERENCES project (organisation_id, id);
CREATE INDEX api_key_project_id_idx ON api_key (organisation_id, project_id) WHERE project_id IS NOT NULL;

-- Of all keys somebody made (api_key.created_by) in an organisation. It outlives his membership, as
-- his keys may.
CREATE TABLE member_limit (
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    member_id uuid NOT NULL REFERENCES app_user (id),
    limits jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (organisation_id, member_id)
);
CREATE INDEX member_limit_member_id_idx ON member_limit (member_id);

-- A budget is of all its organisation's keys, or of one key, or of those of a member, a project or a team.
ALTER TABLE budget ADD COLUMN member_id uuid REFERENCES app_user (id);
ALTER TABLE budget ADD COLUMN project_id uuid;
ALTER TABLE budget ADD COLUMN team_id uuid;
ALTER TABLE budget ADD CONSTRAINT budget_project_fkey FOREIGN KEY (organisation_id, project_id)
    REFERENCES project (organisation_id, id);
ALTER TABLE budget ADD CONSTRAINT budget_team_fkey FOREIGN KEY (organisation_id, team_id)
    REFERENCES team (organisation_id, id);
ALTER TABLE budget ADD CONSTRAINT budget_is_of_one
    CHECK (num_nonnulls(credential_id, api_key_id, member_id, project_id, team_id) <= 1);
CREATE INDEX budget_member_id_idx ON budget (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX budget_project_id_idx ON budget (organisation_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX budget_team_id_idx ON budget (organisation_id, team_id) WHERE team_id IS NOT NULL;

-- What its organisation was told of a budget: once per period and share of it that was used.
CREATE TABLE budget_notice (
    budget_id uuid NOT NULL REFERENCES budget (id),
    period_start timestamptz NOT NULL,
    percent smallint NOT NULL,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    told_at timestamptz NOT NULL,
    PRIMARY KEY (budget_id, period_start, percent)
);
CREATE INDEX budget_notice_organisation_id_idx ON budget_notice (organisation_id);

CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON team
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON project
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('id');
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON member_limit
    FOR EACH ROW EXECUTE FUNCTION bursar_tell_changed('member_id');

SELECT bursar_make_tenant('team');
SELECT bursar_make_tenant('project');
SELECT bursar_make_tenant('member_limit');
SELECT bursar_make_tenant('budget_notice');
GRANT SELECT ON budget_notice TO bursar_api, bursar_operator, bursar_worker;
GRANT INSERT ON budget_notice TO bursar_worker;
GRANT SELECT ON team, project, member_limit TO bursar_api, bursar_operator, bursar_worker, bursar_gateway;
GRANT INSERT, UPDATE ON team, project, member_limit TO bursar_api, bursar_operator;
-- Whoever signs up gets a key in a project. UPDATE: to lock the row.
GRANT SELECT, INSERT, UPDATE (name) ON team, project TO bursar_accounts;

-- Where the key was when the request was admitted. NULL: in no project.
ALTER TABLE usage ADD COLUMN project_id uuid;
ALTER TABLE usage ADD COLUMN team_id uuid;

-- As it was, and with the project and its team. Insert rows given as a JSON array of UsageRow (bursar.core.booking)
-- with their hashes; answers sums of what was inserted, and drops the marks these rows end. Rows whose key exists
-- or whose wallet does not are left out. Linear in rows: one parse, one insert into two indexes, two lookups each.
-- Sorted by request, so that replays of the same rows queue up.
CREATE OR REPLACE FUNCTION bursar_insert_usage(p_rows json, p_hashes text[], p_late boolean) RETURNS bursar_booked[]
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    WITH inserted AS (
        INSERT INTO usage (request_id, organisation_id, wallet_id, api_key_id, lease_id, provider_id,
            credential_id, started_at, finished_at, cost, sale, input_tokens, output_tokens, latency_ms,
            first_byte_ms, attempt, revision, status, streamed, estimated, from_mark, late, asset, scope_class,
            model, provider_model, endpoint, dialect, outcome, error_code, service_tier, provider_request_id,
            end_user, content_hash, flags, quantities, price_ids, raw_usage, project_id, team_id)
        SELECT r.request_id, r.organisation_id, r.wallet_id, r.api_key_id, r.lease_id, r.provider_id,
            r.credential_id, to_timestamp(r.started_at_ms / 1000.0), to_timestamp(r.finished_at_ms / 1000.0),
            r.cost, r.sale, r.input_tokens, r.output_tokens, r.latency_ms, r.first_byte_ms, r.attempt,
            r.revision, r.status, r.streamed, r.estimated, r.from_mark,
            p_late OR hold.state IS DISTINCT FROM 'active', r.asset, r.scope_class, r.model, r.provider_model,
            r.endpoint, r.dialect, r.outcome, r.error_code, r.service_tier, r.provider_request_id, r.end_user,
            r.content_hash, r.flags, r.quantities, r.price_ids, r.raw_usage, r.project_id, r.team_id
        FROM ROWS FROM (
            json_to_recordset(p_rows) AS (request_id uuid, attempt smallint, revision smallint,
                started_at_ms bigint, finished_at_ms bigint, organisation_id uuid, wallet_id uuid, asset text,
                scope_class text, api_key_id uuid, lease_id uuid, provider_id uuid, credential_id uuid,
                model text, provider_model text, endpoint text, dialect text, streamed boolean,
                status smallint, outcome text, error_code text, quantities jsonb, price_ids jsonb,
                input_tokens bigint, output_tokens bigint, estimated boolean, flags text[], raw_usage text,
                service_tier text, cost bigint, sale bigint, latency_ms integer, first_byte_ms integer,
                provider_request_id text, end_user text, from_mark boolean,
                project_id uuid, team_id uuid),
            unnest(p_hashes)
        ) AS r (request_id, attempt, revision, started_at_ms, finished_at_ms, organisation_id, wallet_id,
            asset, scope_class, api_key_id, lease_id, provider_id, credential_id, model, provider_model,
            endpoint, dialect, streamed, status, outcome, error_code, quantities, price_ids, input_tokens,
            output_tokens, estimated, flags, raw_usage, service_tier, cost, sale, latency_ms, first_byte_ms,
            provider_request_id, end_user, from_mark, project_id, team_id, content_hash)
        JOIN wallet ON wallet.id = r.wallet_id AND wallet.organisation_id = r.organisation_id
            AND wallet.asset = r.asset
        LEFT JOIN hold ON hold.id = r.lease_id AND hold.wallet_id = r.wallet_id
        ORDER BY r.request_id, r.attempt, r.revision
        ON CONFLICT (organisation_id, started_at, request_id, attempt, revision) DO NOTHING
        RETURNING wallet_id, lease_id, sale, streamed, latency_ms, request_id, attempt
    ), unmarked AS (
        -- Marks come and go by the thousand: a join would be planned while the table is empty and then read
        -- all that is dead in it. One look-up by key each never does.
        DELETE FROM usage_mark WHERE ctid = ANY (ARRAY(
            SELECT (SELECT mark.ctid FROM usage_mark AS mark
                WHERE mark.request_id = inserted.request_id AND mark.attempt = inserted.attempt)
            -- Whole answers leave a mark only when they took long (MARKED_AFTER_MS of bursar.gateway.unanswered).
            FROM inserted WHERE inserted.streamed OR inserted.latency_ms >= 1000))
    )
    SELECT coalesce(array_agg(ROW(wallet_id, lease_id, sale, rows)::bursar_booked), '{}') FROM (
        SELECT wallet_id, lease_id, sum(greatest(sale, 0))::bigint AS sale, count(*) AS rows
        FROM inserted GROUP BY wallet_id, lease_id
    ) AS sums
$$;
