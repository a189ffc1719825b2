-- What people and organisations may ask of their data: a copy of it, and that it goes.

-- Of an organisation, or (organisation_id NULL) of user_id himself. user_id: who asked; NULL: an operator's token.
CREATE TABLE data_export (
    id uuid PRIMARY KEY,
    organisation_id uuid REFERENCES organisation (id),
    user_id uuid REFERENCES app_user (id),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'ready', 'failed', 'expired')),
    requested_at timestamptz NOT NULL,
    ended_at timestamptz,
    expires_at timestamptz,
    size_bytes bigint,
    CONSTRAINT data_export_is_of_somebody CHECK (num_nonnulls(organisation_id, user_id) > 0),
    CONSTRAINT data_export_ready_check CHECK (state <> 'ready' OR num_nulls(ended_at, expires_at, size_bytes) = 0)
);
CREATE INDEX data_export_organisation_id_idx ON data_export (organisation_id, id);
CREATE INDEX data_export_user_id_idx ON data_export (user_id, id);
CREATE UNIQUE INDEX data_export_queued_key ON data_export (organisation_id, user_id) NULLS NOT DISTINCT
    WHERE state = 'queued';

-- The archive, in pieces small enough to be sent one at a time. In the database, because the worker that writes it
-- and the api that sends it need not share a disk.
CREATE TABLE data_export_piece (
    export_id uuid NOT NULL REFERENCES data_export (id),
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (export_id, number)
);

-- A wish to be forgotten, carried out at due_at unless it is taken back. requested_by: a person or an operator's token.
CREATE TABLE erasure (
    id uuid PRIMARY KEY,
    organisation_id uuid REFERENCES organisation (id),
    user_id uuid REFERENCES app_user (id),
    requested_by uuid,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    cancelled_at timestamptz,
    done_at timestamptz,
    CONSTRAINT erasure_is_of_one CHECK (num_nonnulls(organisation_id, user_id) = 1),
    CONSTRAINT erasure_one_end CHECK (cancelled_at IS NULL OR done_at IS NULL)
);
CREATE UNIQUE INDEX erasure_open_organisation_key ON erasure (organisation_id)
    WHERE cancelled_at IS NULL AND done_at IS NULL;
CREATE UNIQUE INDEX erasure_open_user_key ON erasure (user_id) WHERE cancelled_at IS NULL AND done_at IS NULL;
CREATE INDEX erasure_due_idx ON erasure (due_at) WHERE cancelled_at IS NULL AND done_at IS NULL;

DO $policies$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['data_export', 'erasure'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one);
        EXECUTE format('CREATE POLICY tenant ON %I TO bursar_api USING (organisation_id = '
            '(SELECT nullif(current_setting(''bursar.organisation'', true), '''')::uuid))', one);
        EXECUTE format('CREATE POLICY person ON %I TO bursar_api USING (organisation_id IS NULL AND user_id = '
            '(SELECT nullif(current_setting(''bursar.user'', true), '''')::uuid))', one);
        EXECUTE format('CREATE POLICY everybody ON %I TO bursar_owner, bursar_operator, bursar_worker, '
            'bursar_accounts USING (true) WITH CHECK (true)', one);
    END LOOP;
END
$policies$;
-- Whoever sees the export sees its pieces.
ALTER TABLE data_export_piece ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_export_piece FORCE ROW LEVEL SECURITY;
CREATE POLICY of_export ON data_export_piece TO bursar_api USING (export_id IN (SELECT id FROM data_export));
CREATE POLICY everybody ON data_export_piece TO bursar_owner, bursar_worker USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON data_export, erasure TO bursar_api, bursar_accounts;
GRANT UPDATE (cancelled_at) ON erasure TO bursar_api, bursar_accounts;
GRANT SELECT ON data_export_piece TO bursar_api;
GRANT SELECT ON data_export, erasure TO bursar_operator;
GRANT SELECT, UPDATE (state, ended_at, expires_at, size_bytes) ON data_export TO bursar_worker;
GRANT SELECT, INSERT, DELETE ON data_export_piece TO bursar_worker;
GRANT SELECT, UPDATE (done_at) ON erasure TO bursar_worker;

SELECT bursar_audit('data_export'), bursar_audit('erasure');
