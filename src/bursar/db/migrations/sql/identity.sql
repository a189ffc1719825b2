-- People, what they are in organisations and to the operator, and their sessions. Roles: see roles.sql;
--   bursar_accounts  signs people up and in; the api switches to it with SET LOCAL ROLE. It sees no money.

-- Row-level security as every table of tenants has it, in one call: a customer's session sees the rows of the
-- organisation it names in 'bursar.organisation'; unset or empty sees nothing, and is no error.
CREATE FUNCTION bursar_make_tenant(one regclass, tenant_column text DEFAULT 'organisation_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', one);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', one);
    EXECUTE format('CREATE POLICY tenant ON %s TO bursar_api USING '
        '(%I = (SELECT nullif(current_setting(''bursar.organisation'', true), '''')::uuid))', one, tenant_column);
    EXECUTE format('CREATE POLICY all_tenants ON %s TO bursar_owner, bursar_operator, bursar_worker '
        'USING (true) WITH CHECK (true)', one);
    EXECUTE format('CREATE POLICY read_all ON %s FOR SELECT TO bursar_gateway USING (true)', one);
    EXECUTE format('CREATE POLICY accounts ON %s TO bursar_accounts USING (true) WITH CHECK (true)', one);
END $$;

-- The same for what belongs to a person: his session names him in 'bursar.user'.
CREATE FUNCTION bursar_make_personal(one regclass, user_column text DEFAULT 'user_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', one);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', one);
    EXECUTE format('CREATE POLICY person ON %s TO bursar_api USING '
        '(%I = (SELECT nullif(current_setting(''bursar.user'', true), '''')::uuid))', one, user_column);
    EXECUTE format('CREATE POLICY everybody ON %s TO bursar_owner, bursar_operator, bursar_worker, bursar_accounts '
        'USING (true) WITH CHECK (true)', one);
END $$;
REVOKE ALL ON FUNCTION bursar_make_tenant, bursar_make_personal FROM public;

-- password_hash: argon2id, NULL for who signs in elsewhere only. totp_sealed: see bursar.db.secrets; in force
-- from totp_confirmed_at. totp_step: the last 30 s step a code was taken of, so that none is taken twice.
ALTER TABLE app_user ADD COLUMN password_hash text;
ALTER TABLE app_user ADD COLUMN email_verified_at timestamptz;
ALTER TABLE app_user ADD COLUMN operator_role text CHECK (operator_role IN ('superadmin', 'finance', 'support'));
ALTER TABLE app_user ADD COLUMN locale text NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'ko', 'zh'));
ALTER TABLE app_user ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
ALTER TABLE app_user ADD COLUMN notifications jsonb NOT NULL DEFAULT '{}';
ALTER TABLE app_user ADD COLUMN totp_sealed bytea;
ALTER TABLE app_user ADD COLUMN totp_confirmed_at timestamptz;
ALTER TABLE app_user ADD COLUMN totp_step bigint;
ALTER TABLE app_user ADD COLUMN terms_version text;
ALTER TABLE app_user ADD COLUMN privacy_version text;
ALTER TABLE app_user ADD COLUMN accepted_at timestamptz;
ALTER TABLE app_user ADD COLUMN erased_at timestamptz;

ALTER TABLE membership DROP CONSTRAINT membership_role_check;
UPDATE membership SET role = 'developer' WHERE role = 'member';
ALTER TABLE membership ADD CONSTRAINT membership_role_check
    CHECK (role IN ('owner', 'admin', 'billing', 'developer', 'viewer'));

ALTER TABLE operator_token ADD COLUMN role text NOT NULL DEFAULT 'superadmin'
    CHECK (role IN ('superadmin', 'finance', 'support'));

-- A sign-in. refresh_hash: SHA-256 of the refresh token in force; previous_hash: of the one before it, whose
-- return means that one of the two was stolen. csrf_hash: SHA-256 of what a browser must send back in a header.
-- two_factor_at: when a second factor was shown. viewing_*: a support session seeing what a customer sees.
CREATE TABLE session (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES app_user (id),
    refresh_hash bytea NOT NULL CHECK (octet_length(refresh_hash) = 32),
    previous_hash bytea CHECK (octet_length(previous_hash) = 32),
    rotated_at timestamptz,
    csrf_hash bytea NOT NULL CHECK (octet_length(csrf_hash) = 32),
    user_agent text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    two_factor_at timestamptz,
    viewing_organisation_id uuid REFERENCES organisation (id),
    viewing_until timestamptz,
    CONSTRAINT session_refresh_hash_key UNIQUE (refresh_hash)
);
CREATE INDEX session_user_id_idx ON session (user_id, created_at);
CREATE INDEX session_previous_hash_idx ON session (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX session_viewing_idx ON session (viewing_organisation_id) WHERE viewing_organisation_id IS NOT NULL;

-- Ed25519 keys that sign access tokens. sealed: the private half. Verified with until retired_at.
CREATE TABLE signing_key (
    id text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

SELECT bursar_make_personal('app_user', 'id');
SELECT bursar_make_personal('session');
-- Members see each other; a person sees his memberships and organisations.
CREATE POLICY fellow_members ON app_user FOR SELECT TO bursar_api
    USING (id IN (SELECT user_id FROM membership
        WHERE organisation_id = (SELECT nullif(current_setting('bursar.organisation', true), '')::uuid)));
CREATE POLICY own_memberships ON membership FOR SELECT TO bursar_api
    USING (user_id = (SELECT nullif(current_setting('bursar.user', true), '')::uuid));
CREATE POLICY own_organisations ON organisation FOR SELECT TO bursar_api
    USING (id IN (SELECT organisation_id FROM membership
        WHERE user_id = (SELECT nullif(current_setting('bursar.user', true), '')::uuid)));
CREATE POLICY accounts ON membership TO bursar_accounts USING (true) WITH CHECK (true);
CREATE POLICY accounts ON organisation TO bursar_accounts USING (true) WITH CHECK (true);
CREATE POLICY accounts ON wallet TO bursar_accounts USING (true) WITH CHECK (true);
CREATE POLICY accounts ON outbox TO bursar_accounts USING (true) WITH CHECK (true);
CREATE POLICY accounts ON api_key TO bursar_accounts USING (true) WITH CHECK (true);

GRANT USAGE ON SCHEMA public TO bursar_accounts;
GRANT SELECT, INSERT, UPDATE ON app_user, session, signing_key, organisation TO bursar_accounts;
GRANT SELECT, INSERT, UPDATE, DELETE ON membership TO bursar_accounts;
GRANT SELECT, INSERT ON wallet, api_key TO bursar_accounts;
GRANT SELECT ON operator_token, setting TO bursar_accounts;
GRANT INSERT ON outbox TO bursar_accounts;
GRANT SELECT, INSERT, UPDATE ON idempotent_answer TO bursar_accounts;

-- What opens the control plane is not for sessions of customers.
REVOKE ALL ON app_user, operator_token FROM bursar_api;
GRANT SELECT (id, email, name, status, locale, time_zone, notifications, created_at, email_verified_at,
    operator_role, totp_confirmed_at, terms_version, privacy_version, accepted_at, erased_at) ON app_user TO bursar_api;
GRANT SELECT (id, user_id, user_agent, address, created_at, used_at, expires_at, revoked_at, two_factor_at,
    viewing_organisation_id, viewing_until) ON session TO bursar_api, bursar_operator;
GRANT SELECT ON app_user, session TO bursar_worker;
GRANT DELETE ON session TO bursar_worker;
