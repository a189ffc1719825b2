-- Operators are bound to addresses, support views as a customer, and no role may more than it must.

-- Networks in CIDR notation that an operator must be in, besides those of the setting; NULL or none: anywhere.
ALTER TABLE app_user ADD COLUMN operator_addresses text[];
ALTER TABLE operator_token ADD COLUMN allowed_addresses text[];

-- That support saw what an organisation sees: who, why, how long. The session of the same time is bound by
-- session.viewing_*; it ends by itself, or earlier at ended_at.
CREATE TABLE viewing (
    id uuid PRIMARY KEY,
    organisation_id uuid NOT NULL REFERENCES organisation (id),
    user_id uuid NOT NULL REFERENCES app_user (id),
    session_id uuid NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    started_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT viewing_is_short CHECK (until > started_at AND until <= started_at + interval '60 minutes')
);
CREATE INDEX viewing_organisation_id_idx ON viewing (organisation_id, id);
CREATE INDEX viewing_user_id_idx ON viewing (user_id) WHERE ended_at IS NULL;

SELECT bursar_make_tenant('viewing');
GRANT SELECT ON viewing TO bursar_api, bursar_operator, bursar_worker, bursar_accounts;
GRANT INSERT, UPDATE (ended_at) ON viewing TO bursar_accounts;
SELECT bursar_audit('viewing');
